// Compares limits and settings of the host with the configuration.
#include "gateway/host_settings.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "core/cgroup.h"
#include "gateway/listener.h"

namespace sluice::gateway {

namespace {

// At most so many connections go to one endpoint, and each has a local port of its own.
uint64_t connections_to_one_endpoint(const config::Config& config) {
  const uint64_t room = uint64_t{config.bounds.upstream_connections} * config.cores.size();
  uint64_t most = 0;
  for (const config::UpstreamConfig& upstream : config.upstreams) {
    const bool has_ports = std::any_of(
        upstream.endpoints.begin(), upstream.endpoints.end(),
        [](const config::EndpointConfig& endpoint) { return !endpoint.destination.is_unix(); });
    if (has_ports)
      most = std::max(
          most, upstream.connections == 0 ? room : std::min<uint64_t>(room, upstream.connections));
  }
  return most;
}

}  // namespace

HostSettings read_host_settings() {
  HostSettings host;
  std::ifstream{"/proc/sys/net/core/somaxconn"} >> host.listen_backlog_max;
  uint64_t first = 0;
  uint64_t last = 0;
  std::ifstream{"/proc/sys/net/ipv4/ip_local_port_range"} >> first >> last;
  if (last >= first && first > 0) host.local_ports = last - first + 1;
  std::string choice;
  if (std::getline(std::ifstream{"/sys/kernel/mm/transparent_hugepage/enabled"}, choice)) {
    host.huge_pages =
        choice.find("[never]") == std::string::npos ? HugePages::available : HugePages::never;
  }
  uint64_t low = 0;
  uint64_t pressure = 0;
  uint64_t pages = 0;
  std::ifstream{"/proc/sys/net/ipv4/tcp_mem"} >> low >> pressure >> pages;
  host.socket_memory_bytes = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  host.memory_max_bytes = core::read_cgroup_bounds().memory_bytes;
  return host;
}

std::string memory_warning(uint64_t bound_bytes, const HostSettings& host) {
  if (host.memory_max_bytes == 0 || bound_bytes <= host.memory_max_bytes) return "";
  return "the control group allows " + std::to_string(host.memory_max_bytes >> 20) +
         " MiB of memory, and at most " + std::to_string(bound_bytes >> 20) +
         " may be taken; lower workers: { requests, upstream_connections, connections }, the "
         "number "
         "of workers or limiter: { keys }, or raise memory.max";
}

std::vector<std::string> host_warnings(const config::Config& running, uint32_t connections_wanted,
                                       const HostSettings& host) {
  std::vector<std::string> warnings;
  if (running.bounds.connections < connections_wanted) {
    warnings.push_back("the limit of open files allows " +
                       std::to_string(running.bounds.connections) + " connections a core, not " +
                       std::to_string(connections_wanted) +
                       "; raise it with ulimit -n or LimitNOFILE=");
  }
  if (host.listen_backlog_max != 0 && host.listen_backlog_max < uint64_t{listen_backlog}) {
    warnings.push_back("the kernel cuts the queue of new connections to " +
                       std::to_string(host.listen_backlog_max) + ", not " +
                       std::to_string(listen_backlog) +
                       "; raise it with sysctl net.core.somaxconn");
  }
  if (const uint64_t wanted = connections_to_one_endpoint(running);
      host.local_ports != 0 && wanted > host.local_ports) {
    warnings.push_back("an endpoint may get " + std::to_string(wanted) +
                       " connections, and there are " + std::to_string(host.local_ports) +
                       " local ports for them; widen sysctl net.ipv4.ip_local_port_range, or bound "
                       "connections: of the upstream");
  }
  if (host.huge_pages == HugePages::never) {
    warnings.push_back(
        "the kernel gives no huge pages, and a busy core will look up more addresses; set "
        "/sys/kernel/mm/transparent_hugepage/enabled to madvise");
  }
  return warnings;
}

}  // namespace sluice::gateway
