// Examines the host: what will keep a gateway with this configuration from starting or from running
// well, and what to do about it. Reads files below /proc, /sys and /etc; changes nothing.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"

namespace sluice::gateway {

enum class Verdict : uint8_t { fine, improvable, failing };
[[nodiscard]] std::string_view to_string(Verdict verdict);

struct Finding {
  Verdict verdict = Verdict::fine;
  std::string topic;   // "open files"
  std::string detail;  // what was found
  std::string remedy;  // a command or a setting; empty where all is fine
};

// Where the host is looked at. Tests put a tree of files in place of the root.
struct HostView {
  std::string root;  // "" is the host itself
  std::string kernel_release;
  std::string ring_failure;  // why no ring could be made; empty: one could
  rlimit open_files{};
  uint32_t cores_allowed = 0;
};

// The host as it is, but for ring_failure.
[[nodiscard]] HostView view_host();
[[nodiscard]] std::vector<Finding> examine_host(const HostView& host, const config::Config& config);

}  // namespace sluice::gateway
