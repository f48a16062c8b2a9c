// Listening sockets: one a core in one reuseport group, in core order, and the program that steers connections among them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <linux/filter.h>

#include "core/address.h"

namespace sluice::proxy {

// `count` listeners on `address`; port 0 takes a free one, the same for all. What is wrong, in one line, or nothing.
// Descriptors that were opened stand in `listeners` either way, and belong to the caller.
[[nodiscard]] std::optional<std::string> open_listeners(const core::SocketAddress& address, size_t count, std::vector<int>& listeners);
[[nodiscard]] uint16_t bound_port(int listener);

// For the whole group that `listener` is in, after all of it listens. 0, or the errno.
[[nodiscard]] int attach_steering(int listener, std::span<const sock_filter> program);
// Back to the kernel's own spread.
int detach_steering(int listener);

}  // namespace sluice::proxy
