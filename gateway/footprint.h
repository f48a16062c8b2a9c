// What a configuration takes from the host at most: memory and descriptors. Both are sums over its
// bounds, known before anything is opened.
#pragma once

#include <cstdint>

#include "config/config.h"

namespace sluice::gateway {

// Of the process; what the kernel keeps for sockets is not part of it.
[[nodiscard]] uint64_t memory_bound_bytes(const config::Config& config);
[[nodiscard]] uint64_t descriptors_wanted(const config::Config& config);

}  // namespace sluice::gateway
