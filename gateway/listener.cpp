// Opens, binds and adopts listening sockets.
#include "gateway/listener.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "core/socket_buffers.h"

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68  // Linux 5.3
#endif

namespace sluice::gateway {

namespace {

constexpr unsigned mode_by_default = 0755;  // of a socket under the usual umask

// A socket of an IPv6 address speaks IPv6 alone where another listener has the IPv4 of its port.
void set_family(int socket, const core::Destination& address, ListenerRules::Ipv4 ipv4) {
  const int only = ipv4 == ListenerRules::Ipv4::of_another ? 1 : 0;
  if (address.family() == AF_INET6)
    ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
}

// Who may connect to a unix socket; before it listens, so that nobody else ever could.
bool set_access(const core::Destination& address, const ListenerRules& rules) {
  if (!address.is_unix() || address.path().front() == '@') return true;
  const std::string path = address.path();
  return (!rules.group || ::chown(path.c_str(), static_cast<uid_t>(-1), *rules.group) == 0) &&
         (!rules.mode || ::chmod(path.c_str(), *rules.mode) == 0);
}

// What is set here, accepted sockets inherit.
int open_listener(const core::Destination& address, const ListenerRules& rules) {
  const int listener = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) return -1;
  const int on = 1;
  const bool is_ready =
      address.is_unix() || (::setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
                            ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                            ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
  set_family(listener, address, rules.ipv4);
  core::bound_socket_buffers(listener, address.family(), rules.socket_buffer_bytes);
  if (!is_ready || ::bind(listener, address.data(), address.size()) != 0 ||
      !set_access(address, rules) || ::listen(listener, listen_backlog) != 0) {
    const int failure = errno;
    ::close(listener);
    errno = failure;
    return -1;
  }
  return listener;
}

// SO_REUSEPORT would let a second gateway of the same user share the port unseen; a bind without it
// finds that out.
bool is_taken(const core::Destination& address, ListenerRules::Ipv4 ipv4) {
  if (address.is_unix() || address.port() == 0) return false;
  const int probe = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const int on = 1;
  ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  set_family(probe, address, ipv4);
  const bool taken = ::bind(probe, address.data(), address.size()) != 0 && errno == EADDRINUSE;
  ::close(probe);
  return taken;
}

// The name of a unix socket whose owner is gone: nobody accepts there any more.
void clear_stale_name(const core::Destination& address) {
  const std::string path = address.path();
  struct stat info {};
  if (path.front() == '@' || ::stat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool is_dead =
      ::connect(probe, address.data(), address.size()) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  if (is_dead) ::unlink(path.c_str());
}

std::optional<core::Destination> address_of(int listener) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  int listens = 0;
  socklen_t listens_size = sizeof listens;
  if (::getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0 ||
      listens == 0 || ::getsockname(listener, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return std::nullopt;
  }
  if (storage.ss_family == AF_INET)
    return core::Destination{core::SocketAddress{reinterpret_cast<const sockaddr_in&>(storage)}};
  if (storage.ss_family == AF_INET6)
    return core::Destination{core::SocketAddress{reinterpret_cast<const sockaddr_in6&>(storage)}};
  if (storage.ss_family != AF_UNIX) return std::nullopt;
  const auto& local = reinterpret_cast<const sockaddr_un&>(storage);
  const size_t length = size - offsetof(sockaddr_un, sun_path);
  if (length == 0) return std::nullopt;
  if (local.sun_path[0] == 0)
    return core::Destination::unix_path("@" + std::string{local.sun_path + 1, length - 1});
  return core::Destination::unix_path(
      std::string{local.sun_path, ::strnlen(local.sun_path, length)});
}

bool shares_its_port(int listener) {
  int on = 0;
  socklen_t size = sizeof on;
  return ::getsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, &size) == 0 && on != 0;
}

std::string failure_text(const core::Destination& address) {
  return "can't listen on " + address.text() + ": " + std::strerror(errno);
}

}  // namespace

uint16_t bound_port(int listener) {
  const auto address = address_of(listener);
  return address ? address->port() : uint16_t{0};
}

std::vector<int> InheritedListeners::take(const core::Destination& address) {
  std::vector<int> taken;
  std::erase_if(descriptors_, [&](int descriptor) {
    const bool fits = address_of(descriptor) == address;
    if (fits) taken.push_back(descriptor);
    return fits;
  });
  return taken;
}

ListenerRules rules_of(const config::ListenerConfig& listener, const config::Config& config) {
  const std::span<const config::ListenerConfig> all = config.listeners;
  ListenerRules rules{.socket_buffer_bytes = config.bounds.socket_buffer_bytes,
                      .mode = listener.mode,
                      .group = listener.group};
  if (!listener.address.text().starts_with("[::]:")) return rules;
  for (const config::ListenerConfig& other : all) {
    if (!other.address.is_unix() && other.address.family() == AF_INET &&
        other.address.port() == listener.address.port() && other.address.port() != 0)
      rules.ipv4 = ListenerRules::Ipv4::of_another;
  }
  return rules;
}

std::optional<std::string> open_listener_set(const core::Destination& wanted,
                                             const ListenerRules& rules, size_t workers,
                                             InheritedListeners& inherited, ListenerSet& set) {
  set.wanted = set.bound = wanted;
  set.rules = rules;
  set.descriptors = inherited.take(wanted);
  for (const int descriptor : set.descriptors)
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  if (set.descriptors.empty()) {
    if (is_taken(wanted, rules.ipv4))
      return "can't listen on " + wanted.text() + ": another program uses this port";
    if (wanted.is_unix()) clear_stale_name(wanted);
    const int first = open_listener(wanted, rules);
    if (first < 0) return failure_text(wanted);
    set.descriptors.push_back(first);
  }
  if (const auto bound = address_of(set.descriptors.front())) set.bound = *bound;
  set.kind = !wanted.is_unix() && shares_its_port(set.descriptors.front())
                 ? ListenerSet::Kind::group
                 : ListenerSet::Kind::shared;
  while (set.descriptors.size() < workers) {
    const int next = set.kind == ListenerSet::Kind::group
                         ? open_listener(set.bound, rules)
                         : ::fcntl(set.descriptors.front(), F_DUPFD_CLOEXEC, 0);
    if (next < 0) {
      const std::string text = failure_text(wanted);
      close_listener_set(set);
      return text;
    }
    set.descriptors.push_back(next);
  }
  return std::nullopt;
}

std::optional<std::string> change_access(ListenerSet& set, const ListenerRules& rules) {
  if (set.rules.mode == rules.mode && set.rules.group == rules.group) return std::nullopt;
  ListenerRules whole = rules;
  if (!whole.mode) whole.mode = mode_by_default;
  if (!set_access(set.wanted, whole))
    return "can't change who may connect to " + set.wanted.text() + ": " + std::strerror(errno) +
           (errno == EPERM
                ? "; the sandbox closes that where no listener had mode or group at start"
                : "");
  set.rules.mode = rules.mode;
  set.rules.group = rules.group;
  return std::nullopt;
}

void close_listener_set(const ListenerSet& set) {
  for (const int descriptor : set.descriptors) ::close(descriptor);
}

void remove_name(const ListenerSet& set) {
  if (set.wanted.is_unix() && set.wanted.path().front() != '@') ::unlink(set.wanted.path().c_str());
}

int attach_steering(int listener, std::span<const sock_filter> program) {
  const sock_fprog attached{.len = static_cast<unsigned short>(program.size()),
                            .filter = const_cast<sock_filter*>(program.data())};
  return ::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &attached, sizeof attached) ==
                 0
             ? 0
             : errno;
}

int detach_steering(int listener) {
  const int on = 1;
  return ::setsockopt(listener, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &on, sizeof on) == 0 ? 0
                                                                                          : errno;
}

}  // namespace sluice::gateway
