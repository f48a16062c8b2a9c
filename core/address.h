// An IPv4 or IPv6 socket address of a peer, and its text. IPv4-mapped IPv6 addresses count as IPv4
// everywhere.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::core {

class SocketAddress {
 public:
  SocketAddress() = default;
  explicit SocketAddress(const sockaddr_in& address) { storage_.v4 = address; }
  explicit SocketAddress(const sockaddr_in6& address) { storage_.v6 = address; }
  static SocketAddress ipv4(uint32_t host_order_address, uint16_t port);
  // Whoever connects to a unix socket: all are one, with no address to tell.
  static SocketAddress of_unix_peer();
  [[nodiscard]] bool is_unix_peer() const { return family() == AF_UNIX; }

  // "127.0.0.1:8000", "[::1]:8000", ":8000" (every IPv4 address). Nothing if it is none of these.
  static std::optional<SocketAddress> parse(std::string_view text);

  // "127.0.0.1", "::1", with or without brackets; allocates nothing.
  static std::optional<SocketAddress> parse_host(std::string_view text, uint16_t port);

  [[nodiscard]] int family() const { return storage_.any.sa_family; }
  [[nodiscard]] uint16_t port() const;
  [[nodiscard]] const sockaddr* data() const { return &storage_.any; }
  [[nodiscard]] sockaddr* data() { return &storage_.any; }
  [[nodiscard]] socklen_t size() const {
    return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  }
  static constexpr socklen_t capacity = sizeof(sockaddr_in6);

  // The network that a client counts as: the IPv4 address (/32), or the first half of the IPv6
  // address (/64).
  struct Prefix {
    uint64_t bits = 0;  // host order
    bool is_ipv6 = false;
    bool operator==(const Prefix&) const = default;
  };
  [[nodiscard]] Prefix prefix() const;

  // The address without the port, into `out` (at least address_text_max bytes); returns its length.
  static constexpr size_t address_text_max = 46;
  size_t format_address(char* out) const;
  [[nodiscard]] std::string text() const;  // with port; for start-up messages and tests

 private:
  [[nodiscard]] bool is_mapped_ipv4() const;
  union {
    sockaddr any{};
    sockaddr_in v4;
    sockaddr_in6 v6;
  } storage_;
};

}  // namespace sluice::core
