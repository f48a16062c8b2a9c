// What a configuration takes from the host at most: memory and descriptors. Both are sums over its
// bounds, known before anything is opened.
#pragma once

#include <cstdint>

#include "config/config.h"

namespace sluice::gateway {

// Of the process.
[[nodiscard]] uint64_t memory_bound_bytes(const config::Config& config);
// Of the kernel, for the buffers of sockets. `system_bytes` is what it has for those of all
// processes (net.ipv4.tcp_mem); 0: unknown.
[[nodiscard]] uint64_t socket_memory_bound_bytes(const config::Config& config,
                                                 uint64_t system_bytes);
[[nodiscard]] uint64_t descriptors_wanted(const config::Config& config);

}  // namespace sluice::gateway
