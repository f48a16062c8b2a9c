// What the doctor makes of hosts, each a tree of files.
#include "gateway/doctor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::gateway {
namespace {

namespace fs = std::filesystem;

class Doctor : public testing::Test {
 protected:
  Doctor() {
    host_.root = (fs::temp_directory_path() / ("doctor." + std::to_string(::getpid()))).string();
    host_.kernel_release = "6.12.0";
    host_.open_files = {1'000'000, 1'000'000};
    host_.cores_allowed = 4;
    config_.cores = {0, 1};
    put("/proc/meminfo", "MemTotal: 25165824 kB");
    put("/proc/sys/net/core/somaxconn", "4096");
    put("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999");
    put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc");
    put("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
    put("/etc/resolv.conf", "nameserver 10.0.0.1");
  }
  ~Doctor() override { fs::remove_all(host_.root); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path{host_.root + path}.parent_path());
    std::ofstream{host_.root + path} << text << "\n";
  }
  // "topic: verdict" of all that is not fine.
  std::string ills() {
    std::string all;
    for (const Finding& finding : examine_host(host_, config_)) {
      if (finding.verdict == Verdict::fine) continue;
      EXPECT_FALSE(finding.remedy.empty()) << finding.topic << " says nothing to do";
      all += (all.empty() ? "" : "; ") + finding.topic + ": " +
             std::string{to_string(finding.verdict)};
    }
    return all;
  }

  HostView host_;
  config::Config config_;
};

TEST_F(Doctor, healthy_host_has_no_ills) { EXPECT_EQ(ills(), ""); }

TEST_F(Doctor, each_ill_has_its_finding) {
  struct Ill {
    const char* path;
    const char* text;
    const char* found;
  };
  for (const Ill& ill : std::initializer_list<Ill>{
           {"/proc/sys/net/core/somaxconn", "128", "queue of new connections: could be better"},
           {"/proc/sys/net/ipv4/ip_local_port_range", "60000 60999",
            "local ports: could be better"},
           {"/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet",
            "clock source: could be better"},
           {"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave",
            "frequency governor: could be better"},
           {"/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]",
            "huge pages: could be better"},
           {"/proc/meminfo", "MemTotal: 65536 kB", "memory: will fail"},
           {"/sys/devices/system/node/node1/cpulist", "4-7", "NUMA: could be better"},
       }) {
    SCOPED_TRACE(ill.path);
    if (std::string{ill.path}.find("node1") != std::string::npos)
      put("/sys/devices/system/node/node0/cpulist", "0-3");
    const std::string path = host_.root + ill.path;
    std::string before;
    std::getline(std::ifstream{path}, before);
    put(ill.path, ill.text);
    EXPECT_EQ(ills(), ill.found);
    if (before.empty())
      fs::remove_all(fs::path{path}.parent_path());
    else
      put(ill.path, before);
  }
}

TEST_F(Doctor, ring_that_is_refused_names_who_refuses_it) {
  host_.ring_failure = "io_uring is not available";
  const auto remedy = [this] {
    for (const Finding& finding : examine_host(host_, config_)) {
      if (finding.topic == "io_uring") return finding.remedy;
    }
    return std::string{};
  };
  put("/proc/sys/kernel/io_uring_disabled", "2");
  EXPECT_EQ(remedy(), "sysctl -w kernel.io_uring_disabled=0");
  put("/proc/sys/kernel/io_uring_disabled", "1");
  EXPECT_NE(remedy().find("io_uring_group"), std::string::npos);
  put("/proc/sys/kernel/io_uring_disabled", "0");
  put("/proc/self/status", "Name:\tsluice\nSeccomp:\t2");
  EXPECT_NE(remedy().find("seccomp profile"), std::string::npos);
}

TEST_F(Doctor, bounds_of_process_and_control_group_count) {
  host_.open_files = {1024, 1024};
  EXPECT_EQ(ills(), "open files: could be better");
  host_.open_files = {1'000'000, 1'000'000};
  host_.kernel_release = "5.15.0-91-generic";
  EXPECT_EQ(ills(), "kernel: will fail");
  host_.kernel_release = "6.1.0";
  EXPECT_EQ(ills(), "kernel: could be better");
  host_.kernel_release = "6.12.0";
  host_.cores_allowed = 1;
  EXPECT_EQ(ills(), "CPU: could be better");
  host_.cores_allowed = 4;
  put("/proc/self/cgroup", "0::/sluice");
  put("/sys/fs/cgroup/cgroup.controllers", "cpu memory");
  put("/sys/fs/cgroup/sluice/cpu.max", "50000 100000");
  put("/sys/fs/cgroup/sluice/memory.max", "67108864");
  EXPECT_EQ(ills(), "CPU: could be better; memory: will fail");
}

TEST_F(Doctor, named_endpoints_want_a_name_server) {
  put("/etc/resolv.conf", "search example");
  EXPECT_EQ(ills(), "");
  config::UpstreamConfig upstream;
  upstream.endpoints.push_back({.host = "orders.example"});
  config_.upstreams.push_back(upstream);
  EXPECT_EQ(ills(), "name servers: will fail");
}

}  // namespace
}  // namespace sluice::gateway
