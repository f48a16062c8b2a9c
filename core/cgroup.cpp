// Reads cpu.max, memory.max and their elder names.
#include "core/cgroup.h"

#include <algorithm>
#include <fstream>

namespace sluice::core {

namespace {

// Without a bound version 1 says a number near the largest there is.
constexpr uint64_t memory_unbounded = uint64_t{1} << 60;

void tighten_cpus(CgroupBounds& bounds, int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0) return;
  const auto cpus =
      static_cast<uint32_t>(std::clamp<int64_t>((quota + period - 1) / period, 1, INT32_MAX));
  bounds.cpus = bounds.cpus == 0 ? cpus : std::min(bounds.cpus, cpus);
}

void tighten_memory(CgroupBounds& bounds, uint64_t bytes) {
  if (bytes == 0 || bytes >= memory_unbounded) return;
  bounds.memory_bytes = bounds.memory_bytes == 0 ? bytes : std::min(bounds.memory_bytes, bytes);
}

// What one group says. "max" is no number, and leaves what is read into at 0.
void read_group(CgroupBounds& bounds, const std::string& folder) {
  int64_t quota = 0;
  int64_t period = 0;
  std::ifstream{folder + "/cpu.max"} >> quota >> period;
  tighten_cpus(bounds, quota, period);
  quota = period = 0;
  std::ifstream{folder + "/cpu.cfs_quota_us"} >> quota;
  std::ifstream{folder + "/cpu.cfs_period_us"} >> period;
  tighten_cpus(bounds, quota, period);
  for (const char* file : {"/memory.max", "/memory.limit_in_bytes"}) {
    uint64_t bytes = 0;
    std::ifstream{folder + file} >> bytes;
    tighten_memory(bounds, bytes);
  }
}

}  // namespace

// "0::/system.slice/sluice.service" of version 2, "4:cpu,cpuacct:/docker/ab12" of version 1. Inside
// a container the root of what is mounted may be the group itself: what is not there says nothing.
CgroupBounds read_cgroup_bounds(const std::string& mount, const std::string& membership) {
  CgroupBounds bounds;
  std::ifstream groups{membership};
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && controllers.find("cpu") == std::string::npos &&
        controllers != "memory")
      continue;
    std::string hierarchy = mount;
    if (!controllers.empty()) hierarchy += "/" + controllers;
    std::string group = line.substr(second + 1);
    while (true) {
      read_group(bounds, hierarchy + group);
      const auto parent = group.rfind('/');
      if (parent == std::string::npos || group.empty()) break;
      group.erase(parent);
    }
  }
  return bounds;
}

}  // namespace sluice::core
