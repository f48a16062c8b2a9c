// Parses networks and tells whether an address is in one.
#include "core/cidr.h"

#include <charconv>
#include <cstring>

namespace sluice::core {

Cidr::Bytes Cidr::bytes_of(const SocketAddress& address) {
  Bytes bytes{};
  if (address.family() == AF_INET6) {
    const auto& v6 = *reinterpret_cast<const sockaddr_in6*>(address.data());
    std::memcpy(bytes.data(), v6.sin6_addr.s6_addr, 16);
  } else {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(address.data());
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(bytes.data() + 12, &v4.sin_addr.s_addr, 4);
  }
  return bytes;
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = SocketAddress::parse_host(text.substr(0, slash), 0);
  if (!address) return std::nullopt;
  const unsigned most = address->family() == AF_INET6 ? 128 : 32;
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (digits.empty() || failure != std::errc{} || end != digits.data() + digits.size() ||
        bits > most)
      return std::nullopt;
  }
  Cidr cidr;
  cidr.bytes_ = bytes_of(*address);
  cidr.bits_ = bits + (128 - most);
  for (unsigned bit = cidr.bits_; bit < 128; ++bit) {
    if ((cidr.bytes_[bit / 8] >> (7 - bit % 8) & 1) != 0) return std::nullopt;
  }
  return cidr;
}

bool Cidr::matches(const Bytes& bytes) const {
  const unsigned whole = bits_ / 8;
  if (std::memcmp(bytes.data(), bytes_.data(), whole) != 0) return false;
  const unsigned rest = bits_ % 8;
  return rest == 0 || ((bytes[whole] ^ bytes_[whole]) >> (8 - rest)) == 0;
}

bool Cidr::contains(const SocketAddress& address) const {
  return !address.is_unix_peer() && matches(bytes_of(address));
}

}  // namespace sluice::core
