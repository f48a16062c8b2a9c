// What the control group of this process allows: CPU time and memory, by the tightest bound on the
// way from its own group to the root. Both versions of cgroups. Read at start.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::core {

struct CgroupBounds {
  uint32_t cpus = 0;          // the quota in whole cores, rounded up; 0: none
  uint64_t memory_bytes = 0;  // 0: none
};

// `mount` is where the hierarchies are, `membership` the file that says which groups are ours.
[[nodiscard]] CgroupBounds read_cgroup_bounds(const std::string& mount = "/sys/fs/cgroup",
                                              const std::string& membership = "/proc/self/cgroup");

}  // namespace sluice::core
