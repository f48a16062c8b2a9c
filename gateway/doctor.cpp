// One function for each topic; each returns one finding.
#include "gateway/doctor.h"

#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "core/affinity.h"
#include "core/assert.h"
#include "core/cgroup.h"
#include "gateway/footprint.h"
#include "gateway/listener.h"

namespace sluice::gateway {

namespace {

namespace fs = std::filesystem;

Finding fine(std::string topic, std::string detail) {
  return {.topic = std::move(topic), .detail = std::move(detail), .remedy = ""};
}

Finding improvable(std::string topic, std::string detail, std::string remedy) {
  return {Verdict::improvable, std::move(topic), std::move(detail), std::move(remedy)};
}

Finding failing(std::string topic, std::string detail, std::string remedy) {
  return {Verdict::failing, std::move(topic), std::move(detail), std::move(remedy)};
}

// The first line of a file below the root; empty if it can't be read.
std::string line_of(const HostView& host, const std::string& path) {
  std::string line;
  std::ifstream file{host.root + path};
  std::getline(file, line);
  return line;
}

std::string mebibytes(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

// "6.1" of "6.1.0-18-amd64", as 6001; 0 if it is not a release.
uint32_t version_of(const std::string& release) {
  uint32_t major = 0;
  uint32_t minor = 0;
  const char* end = release.data() + release.size();
  const auto first = std::from_chars(release.data(), end, major);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return 0;
  if (std::from_chars(first.ptr + 1, end, minor).ec != std::errc{}) return 0;
  return major * 1000 + minor;
}

Finding kernel(const HostView& host) {
  const uint32_t version = version_of(host.kernel_release);
  const std::string found = "Linux " + host.kernel_release;
  if (version != 0 && version < 6001)
    return failing("kernel", found, "run Linux 6.1 or later; 6.6 is recommended");
  if (version != 0 && version < 6006)
    return improvable("kernel", found, "Linux 6.6 or later is what Sluice is tested on");
  return fine("kernel", found);
}

// A ring could not be made: who stands in the way?
Finding ring(const HostView& host) {
  if (host.ring_failure.empty()) return fine("io_uring", "available");
  const std::string disabled = line_of(host, "/proc/sys/kernel/io_uring_disabled");
  if (disabled == "2")
    return failing("io_uring", "switched off for everybody (kernel.io_uring_disabled is 2)",
                   "sysctl -w kernel.io_uring_disabled=0");
  if (disabled == "1")
    return failing("io_uring", "switched off for all but a group (kernel.io_uring_disabled is 1)",
                   "add the service's group as sysctl kernel.io_uring_group, or sysctl -w "
                   "kernel.io_uring_disabled=0");
  std::ifstream status{host.root + "/proc/self/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Seccomp:") && line.find('2') != std::string::npos)
      return failing("io_uring",
                     "refused, and a seccomp filter is in force (a container's profile forbids it)",
                     "allow io_uring_setup, io_uring_enter and io_uring_register in the "
                     "container's seccomp profile");
  }
  return failing("io_uring", host.ring_failure, "");
}

Finding open_files(const HostView& host, const config::Config& config) {
  const uint64_t wanted = descriptors_wanted(config);
  const uint64_t allowed = host.open_files.rlim_max;
  const std::string found =
      std::to_string(allowed) + " allowed, " + std::to_string(wanted) + " wanted";
  if (wanted <= allowed) return fine("open files", found);
  return improvable("open files", found + "; fewer connections will be served",
                    "ulimit -n " + std::to_string(wanted) +
                        " (systemd: LimitNOFILE=" + std::to_string(wanted) + ")");
}

Finding cpus(const HostView& host, const core::CgroupBounds& bounds, const config::Config& config) {
  const size_t workers = config.cores.size();
  const std::string found =
      std::to_string(workers) + " workers, " + std::to_string(host.cores_allowed) + " cores" +
      (bounds.cpus == 0 ? std::string{} : ", a quota of " + std::to_string(bounds.cpus));
  if (bounds.cpus != 0 && workers > bounds.cpus)
    return improvable("CPU", found + "; the workers will be throttled in turn",
                      "workers: { cores: " + std::to_string(bounds.cpus) +
                          " }, or raise cpu.max of the control group");
  if (workers > host.cores_allowed)
    return improvable("CPU", found + "; workers share cores",
                      "workers: { cores: " + std::to_string(host.cores_allowed) + " }");
  return fine("CPU", found);
}

Finding memory(const HostView& host, const core::CgroupBounds& bounds,
               const config::Config& config) {
  const uint64_t wanted = memory_bound_bytes(config);
  uint64_t total_kib = 0;
  std::string name;
  std::ifstream info{host.root + "/proc/meminfo"};
  info >> name >> total_kib;
  uint64_t most = total_kib * 1024;
  if (bounds.memory_bytes != 0 && (most == 0 || bounds.memory_bytes < most))
    most = bounds.memory_bytes;
  const std::string found =
      "at most " + mebibytes(wanted) + " wanted, " + mebibytes(most) +
      (most == bounds.memory_bytes ? " allowed by the control group" : " in the machine");
  if (most != 0 && wanted > most)
    return failing("memory", found,
                   "lower workers: { requests, upstream_connections, connections, cores } or "
                   "limiter: { keys }, or raise memory.max");
  return fine("memory", found);
}

Finding backlog(const HostView& host) {
  const std::string text = line_of(host, "/proc/sys/net/core/somaxconn");
  const long most = std::atol(text.c_str());
  if (text.empty() || most >= listen_backlog)
    return fine("queue of new connections", text.empty() ? "unknown" : text);
  return improvable("queue of new connections", text + " (net.core.somaxconn)",
                    "sysctl -w net.core.somaxconn=" + std::to_string(listen_backlog));
}

Finding ports(const HostView& host, const config::Config& config) {
  uint64_t first = 0;
  uint64_t last = 0;
  std::ifstream{host.root + "/proc/sys/net/ipv4/ip_local_port_range"} >> first >> last;
  const uint64_t there = last >= first && first > 0 ? last - first + 1 : 0;
  const uint64_t wanted = uint64_t{config.bounds.upstream_connections} * config.cores.size();
  const std::string found = std::to_string(there) + " local ports, " + std::to_string(wanted) +
                            " connections to one endpoint at most";
  if (there == 0 || wanted <= there) return fine("local ports", found);
  return improvable("local ports", found,
                    "sysctl -w net.ipv4.ip_local_port_range='1024 65535', or connections: of the "
                    "upstream");
}

Finding clock_source(const HostView& host) {
  const std::string source =
      line_of(host, "/sys/devices/system/clocksource/clocksource0/current_clocksource");
  if (source.empty()) return fine("clock source", "unknown");
  if (source == "tsc" || source == "kvm-clock" || source == "arch_sys_counter" ||
      source == "hyperv_clocksource_tsc_page")
    return fine("clock source", source);
  return improvable("clock source", source + "; reading the time costs a system call",
                    "boot with clocksource=tsc where the machine has a stable one");
}

Finding governor(const HostView& host) {
  const std::string name = line_of(host, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (name.empty()) return fine("frequency governor", "none");
  if (name == "performance" || name == "schedutil") return fine("frequency governor", name);
  return improvable("frequency governor", name + "; the first requests after a lull are slow",
                    "cpupower frequency-set -g performance");
}

Finding huge_pages(const HostView& host) {
  const std::string choice = line_of(host, "/sys/kernel/mm/transparent_hugepage/enabled");
  if (choice.find("[never]") == std::string::npos)
    return fine("huge pages", choice.empty() ? "unknown" : choice);
  return improvable("huge pages", choice,
                    "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
}

size_t entries_like(const std::string& folder, const std::string& prefix) {
  std::error_code error;
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator{folder, error})
    count += entry.path().filename().string().starts_with(prefix);
  return count;
}

Finding nodes(const HostView& host, const config::Config& config) {
  const size_t count = entries_like(host.root + "/sys/devices/system/node", "node");
  if (count < 2) return fine("NUMA", "one node");
  return improvable("NUMA",
                    std::to_string(count) + " nodes, and " + std::to_string(config.cores.size()) +
                        " workers over all of them",
                    "numactl --cpunodebind=0 --membind=0 sluice run ..., one gateway on each node");
}

// A network card with fewer queues than workers sends all interrupts to a few cores.
Finding queues(const HostView& host, const config::Config& config) {
  std::error_code error;
  std::string few;
  for (const auto& card : fs::directory_iterator{host.root + "/sys/class/net", error}) {
    if (!fs::exists(card.path() / "device", error)) continue;
    const size_t count = entries_like((card.path() / "queues").string(), "rx-");
    if (count != 0 && count < config.cores.size())
      few += (few.empty() ? "" : ", ") + card.path().filename().string() + " has " +
             std::to_string(count);
  }
  if (few.empty()) return fine("receive queues", "as many as workers, or no card");
  return improvable("receive queues",
                    few + " for " + std::to_string(config.cores.size()) + " workers",
                    "ethtool -L CARD combined " + std::to_string(config.cores.size()) +
                        ", or receive packet steering (rps_cpus)");
}

Finding name_servers(const HostView& host, const config::Config& config) {
  const bool has_names = std::any_of(
      config.upstreams.begin(), config.upstreams.end(), [](const config::UpstreamConfig& upstream) {
        return std::any_of(
            upstream.endpoints.begin(), upstream.endpoints.end(),
            [](const config::EndpointConfig& endpoint) { return !endpoint.host.empty(); });
      });
  std::ifstream file{host.root + "/etc/resolv.conf"};
  std::string servers;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("nameserver "))
      servers += (servers.empty() ? "" : ", ") + line.substr(std::string{"nameserver "}.size());
  }
  if (!servers.empty()) return fine("name servers", servers);
  if (!has_names) return fine("name servers", "none, and no name to resolve");
  return failing("name servers", "none in /etc/resolv.conf, and endpoints are named",
                 "add a nameserver line, or write addresses");
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::fine: return "fine";
    case Verdict::improvable: return "could be better";
    case Verdict::failing: return "will fail";
  }
  SLUICE_UNREACHABLE();
}

HostView view_host() {
  HostView host;
  utsname name{};
  if (::uname(&name) == 0) host.kernel_release = name.release;
  ::getrlimit(RLIMIT_NOFILE, &host.open_files);
  host.cores_allowed = static_cast<uint32_t>(core::available_cores().size());
  return host;
}

std::vector<Finding> examine_host(const HostView& host, const config::Config& config) {
  const core::CgroupBounds bounds =
      core::read_cgroup_bounds(host.root + "/sys/fs/cgroup", host.root + "/proc/self/cgroup");
  return {kernel(host),
          ring(host),
          open_files(host, config),
          cpus(host, bounds, config),
          memory(host, bounds, config),
          backlog(host),
          ports(host, config),
          clock_source(host),
          governor(host),
          huge_pages(host),
          nodes(host, config),
          queues(host, config),
          name_servers(host, config)};
}

}  // namespace sluice::gateway
