// A network in CIDR notation, IPv4 or IPv6. IPv4-mapped addresses are in IPv4 networks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/address.h"

namespace sluice::core {

class Cidr {
 public:
  // "10.0.0.0/8", "2001:db8::/32", or an address alone. Nothing if it is none of these, or has bits
  // behind its prefix.
  static std::optional<Cidr> parse(std::string_view text);
  [[nodiscard]] bool contains(const SocketAddress& address) const;
  bool operator==(const Cidr&) const = default;

 private:
  using Bytes = std::array<uint8_t, 16>;  // IPv4 as mapped addresses
  static Bytes bytes_of(const SocketAddress& address);
  [[nodiscard]] bool matches(const Bytes& bytes) const;
  Bytes bytes_{};
  unsigned bits_ = 0;
};

}  // namespace sluice::core
