#include "proxy/listener.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68  // Linux 5.3
#endif

namespace sluice::proxy {

namespace {

// One listener of a reuseport group. What is set here, accepted sockets inherit.
int open_listener(const core::SocketAddress& address) {
  const int listener = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) return -1;
  const int on = 1;
  if (::setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
      ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 || ::bind(listener, address.data(), address.size()) != 0 ||
      ::listen(listener, 4096) != 0) {
    const int failure = errno;
    ::close(listener);
    errno = failure;
    return -1;
  }
  return listener;
}

// SO_REUSEPORT would let a second gateway of the same user share the port unseen; a bind without it finds that out.
bool is_taken(const core::SocketAddress& address) {
  if (address.port() == 0) return false;
  const int probe = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const int on = 1;
  ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool taken = ::bind(probe, address.data(), address.size()) != 0 && errno == EADDRINUSE;
  ::close(probe);
  return taken;
}

core::SocketAddress with_port(const core::SocketAddress& address, uint16_t port) {
  if (address.family() == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address.data(), sizeof v6);
    v6.sin6_port = htons(port);
    return core::SocketAddress{v6};
  }
  sockaddr_in v4;
  std::memcpy(&v4, address.data(), sizeof v4);
  v4.sin_port = htons(port);
  return core::SocketAddress{v4};
}

}  // namespace

uint16_t bound_port(int listener) {
  core::SocketAddress address;
  socklen_t size = core::SocketAddress::capacity;
  ::getsockname(listener, address.data(), &size);
  return address.port();
}

std::optional<std::string> open_listeners(const core::SocketAddress& wanted, size_t count, std::vector<int>& listeners) {
  core::SocketAddress address = wanted;
  if (is_taken(address)) return "can't listen on " + address.text() + ": another program uses this port";
  for (size_t index = 0; index < count; ++index) {
    const int listener = open_listener(address);
    if (listener < 0) return "can't listen on " + address.text() + ": " + std::strerror(errno);
    listeners.push_back(listener);
    if (index == 0) address = with_port(address, bound_port(listener));
  }
  return std::nullopt;
}

int attach_steering(int listener, std::span<const sock_filter> program) {
  const sock_fprog attached{.len = static_cast<unsigned short>(program.size()), .filter = const_cast<sock_filter*>(program.data())};
  return ::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &attached, sizeof attached) == 0 ? 0 : errno;
}

int detach_steering(int listener) {
  const int on = 1;
  return ::setsockopt(listener, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &on, sizeof on) == 0 ? 0 : errno;
}

}  // namespace sluice::proxy
