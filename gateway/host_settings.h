// What of the host bounds a gateway beside its own configuration, and what is said where that is
// less than the configuration wants. Read before the sandbox closes, on the main thread; nothing
// here changes anything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"

namespace sluice::gateway {

enum class HugePages : uint8_t { unknown, available, never };

struct HostSettings {
  uint64_t listen_backlog_max = 0;  // net.core.somaxconn; 0: can't be read
  uint64_t local_ports = 0;  // towards one endpoint, net.ipv4.ip_local_port_range; 0: can't be read
  HugePages huge_pages = HugePages::unknown;
  uint64_t socket_memory_bytes = 0;  // of all TCP sockets, net.ipv4.tcp_mem; 0: can't be read
  uint64_t memory_max_bytes = 0;     // of the control group; 0: none
};

[[nodiscard]] HostSettings read_host_settings();

// One sentence for each bound of the host that is in the way of `running`, with what to do.
// `connections_wanted` is what a core was to have before the limit of open files was looked at.
[[nodiscard]] std::vector<std::string> host_warnings(const config::Config& running,
                                                     uint32_t connections_wanted,
                                                     const HostSettings& host);

// What to lower where the control group allows less memory than the gateway may take; empty where
// it does not.
[[nodiscard]] std::string memory_warning(uint64_t bound_bytes, const HostSettings& host);

}  // namespace sluice::gateway
