// Parses and formats socket addresses.
#include "core/address.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstring>

namespace sluice::core {

SocketAddress SocketAddress::ipv4(uint32_t host_order_address, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host_order_address);
  return SocketAddress{address};
}

SocketAddress SocketAddress::of_unix_peer() {
  SocketAddress address;
  address.storage_.v6 = {};
  address.storage_.any.sa_family = AF_UNIX;
  return address;
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port_text = text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, failure] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (failure != std::errc{} || end != port_text.data() + port_text.size() || port_text.empty())
    return std::nullopt;

  const auto host = text.substr(0, colon);
  if (host.empty()) return ipv4(INADDR_ANY, port);
  if (host.front() != '[' && host.find(':') != std::string_view::npos) return std::nullopt;
  return parse_host(host, port);
}

std::optional<SocketAddress> SocketAddress::parse_host(std::string_view text, uint16_t port) {
  const bool has_brackets = text.size() >= 2 && text.front() == '[' && text.back() == ']';
  if (has_brackets) text = text.substr(1, text.size() - 2);
  std::array<char, address_text_max> host{};  // inet_pton wants a terminator
  if (text.empty() || text.size() >= host.size()) return std::nullopt;
  text.copy(host.data(), text.size());
  if (has_brackets || text.find(':') != std::string_view::npos) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    if (inet_pton(AF_INET6, host.data(), &address.sin6_addr) != 1) return std::nullopt;
    return SocketAddress{address};
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.data(), &address.sin_addr) != 1) return std::nullopt;
  return SocketAddress{address};
}

uint16_t SocketAddress::port() const {
  if (is_unix_peer()) return 0;
  return ntohs(family() == AF_INET6 ? storage_.v6.sin6_port : storage_.v4.sin_port);
}

bool SocketAddress::is_mapped_ipv4() const {
  return family() == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&storage_.v6.sin6_addr);
}

SocketAddress::Prefix SocketAddress::prefix() const {
  if (is_unix_peer()) return {};
  if (family() == AF_INET) return {ntohl(storage_.v4.sin_addr.s_addr), false};
  const auto* bytes = storage_.v6.sin6_addr.s6_addr;
  uint32_t low = 0;
  if (is_mapped_ipv4()) {
    std::memcpy(&low, bytes + 12, 4);
    return {ntohl(low), false};
  }
  uint32_t high = 0;
  std::memcpy(&high, bytes, 4);
  std::memcpy(&low, bytes + 4, 4);
  return {uint64_t{ntohl(high)} << 32 | ntohl(low), true};
}

size_t SocketAddress::format_address(char* out) const {
  if (is_unix_peer()) return std::string_view{"unix"}.copy(out, address_text_max);
  if (family() == AF_INET6 && !is_mapped_ipv4()) {
    inet_ntop(AF_INET6, &storage_.v6.sin6_addr, out, address_text_max);
    return std::strlen(out);
  }
  const auto address = static_cast<uint32_t>(prefix().bits);
  char* cursor = out;
  for (int shift = 24; shift >= 0; shift -= 8) {
    cursor = std::to_chars(cursor, out + address_text_max, address >> shift & 0xff).ptr;
    if (shift != 0) *cursor++ = '.';
  }
  return static_cast<size_t>(cursor - out);
}

std::string SocketAddress::text() const {
  if (is_unix_peer()) return "unix";
  char buffer[address_text_max];
  const std::string address{buffer, format_address(buffer)};
  const bool brackets = family() == AF_INET6 && !is_mapped_ipv4();
  return (brackets ? "[" + address + "]" : address) + ":" + std::to_string(port());
}

}  // namespace sluice::core
