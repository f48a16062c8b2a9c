// The PROXY protocol, versions 1 and 2: the first bytes of a connection, in which a load balancer
// says whose it is. Source: the PROXY protocol specification of HAProxy, 2.2 and 2.3. TLVs are
// passed over, checksums among them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "config/upstream_config.h"
#include "core/address.h"

namespace sluice::proxy {

struct ProxyHeader {
  enum class State : uint8_t { incomplete, complete, broken };
  State state = State::incomplete;
  size_t size = 0;  // if complete
  // Who the connection is of; nothing if the sender speaks for itself (LOCAL, UNKNOWN) or of an
  // address that is none of IP.
  std::optional<core::SocketAddress> source;
};

inline constexpr size_t proxy_header_bytes_max = 4096;

// `bytes` is all that has come so far.
[[nodiscard]] ProxyHeader parse_proxy_header(std::span<const std::byte> bytes);

// Writes a header for a connection of `source` to `destination`; returns its size. Where either is
// no IP address, the header says that nothing is known.
inline constexpr size_t proxy_header_out_bytes_max = 108;
[[nodiscard]] size_t write_proxy_header(std::span<std::byte> out, config::SendProxy version,
                                        const core::SocketAddress& source,
                                        const core::SocketAddress& destination);

}  // namespace sluice::proxy
