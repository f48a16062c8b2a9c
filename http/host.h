// Hosts and authorities (RFC 3986 3.2, RFC 9110 7.2).
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace sluice::http {

// uri-host [ ":" port ] without userinfo; at most 261 bytes. Brackets hold an IPv6 address; names
// have no empty label but the root's, and no percent-encoding, which no name needs.
[[nodiscard]] bool is_valid_authority(std::string_view authority);

// Digits, from 1 to 65535.
[[nodiscard]] bool is_valid_port(std::string_view port);

// Of two: the same host in any spelling and the same port, 80 where none is said.
[[nodiscard]] bool is_same_authority(std::string_view a, std::string_view b);

// What hosts are matched by: the host of a valid authority without port and without the dot of the
// root, in lower case, an IPv6 address in the form of RFC 5952. `memory` holds host_bytes_max
// bytes; empty if the authority is.
inline constexpr size_t host_bytes_max = 264;
[[nodiscard]] std::string_view canonical_host(std::string_view authority, std::span<char> memory);

}  // namespace sluice::http
