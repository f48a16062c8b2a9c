// The first bytes of a connection to a listener that speaks TLS: whether the ClientHello is whole,
// before anything is made for it. A pure function of the bytes, called again with more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::tls {

// A ClientHello with the record headers around it; those of browsers have about 2 KiB.
inline constexpr size_t hello_bytes_max = 16 * 1024;

enum class HelloState : uint8_t {
  incomplete,  // so far it may become one
  whole,       // it is here; whether it is right, the handshake says
  too_long,    // it says that it is longer than hello_bytes_max, or uses too many records
  plain_http,  // a request without TLS
  foreign,     // neither
};

[[nodiscard]] HelloState examine_hello(std::span<const std::byte> bytes);

// Whether these first bytes of a connection without TLS are a ClientHello.
[[nodiscard]] bool looks_like_tls(std::span<const std::byte> bytes);

}  // namespace sluice::tls
