// Where a socket connects to, or listens: an IPv4 or IPv6 address with a port, or a unix socket by
// its path.
#pragma once

#include <sys/un.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/address.h"

namespace sluice::core {

class Destination {
 public:
  Destination() = default;
  Destination(
      const SocketAddress& address);  // NOLINT(google-explicit-constructor): every address is one

  // "127.0.0.1:8000", "[::1]:8000", ":8000", "unix:/run/app.sock" and, in the abstract namespace,
  // "unix:@app". Nothing if it is none of these, or a path longer than the kernel takes (107
  // bytes).
  static std::optional<Destination> parse(std::string_view text);
  static std::optional<Destination> unix_path(std::string_view path);

  [[nodiscard]] bool is_unix() const { return family() == AF_UNIX; }
  [[nodiscard]] int family() const { return storage_.any.sa_family; }
  [[nodiscard]] const sockaddr* data() const { return &storage_.any; }
  [[nodiscard]] socklen_t size() const { return size_; }
  [[nodiscard]] uint16_t port() const;     // 0 of a unix socket
  [[nodiscard]] std::string path() const;  // of a unix socket; "@..." in the abstract namespace
  [[nodiscard]] SocketAddress address() const;  // of any other
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool operator==(const Destination& other) const;

 private:
  union {
    sockaddr any{};
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  } storage_;
  socklen_t size_ = 0;
};

}  // namespace sluice::core
