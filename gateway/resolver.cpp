// Resolves names with c-ares and follows their TTLs.
#include "gateway/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <poll.h>

#include <algorithm>
#include <cstring>

namespace sluice::gateway {

namespace {

constexpr std::chrono::milliseconds answer_patience{20};  // before somebody may interrupt

struct Channel {
  explicit Channel(const config::ResolverConfig& config) {
    static const int prepared = ::ares_library_init(ARES_LIB_INIT_ALL);
    ares_options options{};
    options.timeout =
        static_cast<int>(
            std::chrono::duration_cast<std::chrono::milliseconds>(config.timeout).count()) /
        2;
    options.tries = 2;
    options.sock_state_cb = on_socket;
    options.sock_state_cb_data = this;
    is_open = prepared == ARES_SUCCESS &&
              ::ares_init_options(&channel, &options,
                                  ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) ==
                  ARES_SUCCESS;
    if (is_open && !config.servers.empty())
      is_open = ::ares_set_servers_ports_csv(channel, config.servers.c_str()) == ARES_SUCCESS;
  }
  ~Channel() {
    if (channel != nullptr) ::ares_destroy(channel);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  // What the library waits for on a socket; nothing: it is done with it.
  static void on_socket(void* channel, ares_socket_t socket, int reads, int writes) {
    auto& sockets = static_cast<Channel*>(channel)->sockets;
    const auto events = static_cast<short>((reads != 0 ? POLLIN : 0) | (writes != 0 ? POLLOUT : 0));
    if (events == 0)
      sockets.erase(socket);
    else
      sockets[socket] = events;
  }
  ares_channel channel = nullptr;
  bool is_open = false;
  std::map<ares_socket_t, short> sockets;
};

bool is_local(const std::string& name) { return name == "localhost"; }

core::SocketAddress without_port(const sockaddr* address) {
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    v6.sin6_port = 0;
    return core::SocketAddress{v6};
  }
  sockaddr_in v4;
  std::memcpy(&v4, address, sizeof v4);
  v4.sin_port = 0;
  return core::SocketAddress{v4};
}

// Sorted, and each once.
void tidy(Resolved& resolved) {
  const auto text = [](const core::SocketAddress& address) { return address.text(); };
  std::sort(resolved.addresses.begin(), resolved.addresses.end(),
            [&](const auto& a, const auto& b) { return text(a) < text(b); });
  const auto is_same = [&](const auto& a, const auto& b) { return text(a) == text(b); };
  resolved.addresses.erase(
      std::unique(resolved.addresses.begin(), resolved.addresses.end(), is_same),
      resolved.addresses.end());
  if (resolved.addresses.empty()) resolved.complaint = "the answer has no address";
}

void on_answer(void* to, int status, int, ares_addrinfo* answer) {
  auto& resolved = *static_cast<Resolved*>(to);
  if (status != ARES_SUCCESS) resolved.complaint = ::ares_strerror(status);
  if (answer == nullptr) return;
  for (const ares_addrinfo_node* node = answer->nodes; node != nullptr; node = node->ai_next) {
    if (node->ai_family != AF_INET && node->ai_family != AF_INET6) continue;
    resolved.addresses.push_back(without_port(node->ai_addr));
    const std::chrono::seconds ttl{node->ai_ttl};
    if (ttl.count() > 0)
      resolved.ttl = resolved.ttl.count() == 0 ? ttl : std::min(resolved.ttl, ttl);
  }
  ::ares_freeaddrinfo(answer);
  tidy(resolved);
}

// What getaddrinfo says of this host itself: ::1 only where there is IPv6. It asks no server.
Resolved resolve_local(const std::string& name) {
  Resolved resolved;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* all = nullptr;
  if (const int failure = ::getaddrinfo(name.c_str(), nullptr, &hints, &all); failure != 0) {
    resolved.complaint = ::gai_strerror(failure);
    return resolved;
  }
  for (const addrinfo* one = all; one != nullptr; one = one->ai_next) {
    if (one->ai_family == AF_INET || one->ai_family == AF_INET6)
      resolved.addresses.push_back(without_port(one->ai_addr));
  }
  ::freeaddrinfo(all);
  tidy(resolved);
  return resolved;
}

void wait_for_answers(const Channel& of, const Interrupted& is_interrupted) {
  ares_channel channel = of.channel;
  while (true) {
    std::vector<pollfd> polls;
    for (const auto& [socket, events] : of.sockets)
      polls.push_back({.fd = socket, .events = events, .revents = 0});
    if (polls.empty() || (is_interrupted && is_interrupted())) return;
    timeval longest{.tv_sec = 0, .tv_usec = answer_patience.count() * 1000};
    timeval memory{};
    const timeval* until = ::ares_timeout(channel, &longest, &memory);
    ::poll(polls.data(), polls.size(),
           static_cast<int>(until->tv_sec * 1000 + until->tv_usec / 1000) + 1);
    for (const pollfd& one : polls) {
      const bool reads = (one.revents & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool writes = (one.revents & POLLOUT) != 0;
      ::ares_process_fd(channel, reads ? one.fd : ARES_SOCKET_BAD,
                        writes ? one.fd : ARES_SOCKET_BAD);
    }
    ::ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what has waited too long
  }
}

core::Destination with_port(const core::SocketAddress& address, uint16_t port) {
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

Names resolve_names(const std::set<std::string>& names, const config::ResolverConfig& config,
                    const Interrupted& is_interrupted) {
  Names all;
  for (const std::string& name : names) {
    if (is_local(name))
      all[name] = resolve_local(name);
    else
      all[name];
  }
  if (std::all_of(names.begin(), names.end(), is_local)) return all;
  Channel channel{config};
  if (!channel.is_open) {
    for (auto& [name, resolved] : all)
      if (!is_local(name))
        resolved.complaint = "the resolver can't be used (resolver.servers, /etc/resolv.conf)";
    return all;
  }
  for (auto& [name, resolved] : all) {
    if (is_local(name)) continue;
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ::ares_getaddrinfo(channel.channel, name.c_str(), nullptr, &hints, on_answer, &resolved);
  }
  wait_for_answers(channel, is_interrupted);
  return all;
}

std::set<std::string> names_of(const config::Config& config) {
  std::set<std::string> names;
  for (const config::UpstreamConfig& upstream : config.upstreams) {
    for (const config::EndpointConfig& endpoint : upstream.endpoints) {
      if (!endpoint.host.empty()) names.insert(endpoint.host);
    }
  }
  return names;
}

std::vector<std::string> resolve_endpoints(config::Config& config, const Names& names) {
  std::vector<std::string> complaints;
  for (config::UpstreamConfig& upstream : config.upstreams) {
    std::vector<config::EndpointConfig> all;
    for (const config::EndpointConfig& endpoint : upstream.endpoints) {
      if (endpoint.host.empty()) {
        all.push_back(endpoint);
        continue;
      }
      // A name that was resolved before stands here once for each address it had.
      const bool is_again = std::any_of(
          all.begin(), all.end(),
          [&](const config::EndpointConfig& one) { return one.authority == endpoint.authority; });
      if (is_again) continue;
      const auto found = names.find(endpoint.host);
      if (found == names.end() || found->second.addresses.empty()) {
        all.push_back(endpoint);
        all.back().destination = {};
        complaints.push_back(endpoint.place + "the name " + endpoint.host + " has no address" +
                             (found == names.end() || found->second.complaint.empty()
                                  ? ""
                                  : " (" + found->second.complaint + ")"));
        continue;
      }
      for (const core::SocketAddress& address : found->second.addresses) {
        if (all.size() == config::endpoints_max) break;
        all.push_back(endpoint);
        all.back().destination = with_port(address, endpoint.port);
      }
    }
    upstream.endpoints = std::move(all);
  }
  return complaints;
}

bool same_endpoints(const config::Config& a, const config::Config& b) {
  const auto is_same_upstream = [](const config::UpstreamConfig& one,
                                   const config::UpstreamConfig& other) {
    return std::equal(one.endpoints.begin(), one.endpoints.end(), other.endpoints.begin(),
                      other.endpoints.end(), [](const auto& x, const auto& y) {
                        return x.authority == y.authority && x.destination == y.destination;
                      });
  };
  return std::equal(a.upstreams.begin(), a.upstreams.end(), b.upstreams.begin(), b.upstreams.end(),
                    is_same_upstream);
}

}  // namespace sluice::gateway
