#include "gateway/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <poll.h>

#include <algorithm>
#include <cstring>

#include "core/affinity.h"

namespace sluice::gateway {

namespace {

constexpr std::chrono::seconds retry_interval{2};
constexpr std::chrono::milliseconds look_interval{200};

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
  const auto text = [](const core::SocketAddress& address) { return address.text(); };
  std::sort(resolved.addresses.begin(), resolved.addresses.end(),
            [&](const auto& a, const auto& b) { return text(a) < text(b); });
  const auto is_same = [&](const auto& a, const auto& b) { return text(a) == text(b); };
  resolved.addresses.erase(
      std::unique(resolved.addresses.begin(), resolved.addresses.end(), is_same),
      resolved.addresses.end());
  if (resolved.addresses.empty()) resolved.complaint = "the answer has no address";
}

void wait_for_answers(const Channel& of) {
  ares_channel channel = of.channel;
  while (true) {
    std::vector<pollfd> polls;
    for (const auto& [socket, events] : of.sockets)
      polls.push_back({.fd = socket, .events = events, .revents = 0});
    if (polls.empty()) return;
    timeval longest{.tv_sec = 1, .tv_usec = 0};
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

bool same_addresses(const Resolved& a, const Resolved& b) {
  return std::equal(a.addresses.begin(), a.addresses.end(), b.addresses.begin(), b.addresses.end(),
                    [](const auto& x, const auto& y) { return x.text() == y.text(); });
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

std::map<std::string, Resolved> resolve_names(const std::set<std::string>& names,
                                              const config::ResolverConfig& config) {
  std::map<std::string, Resolved> all;
  for (const std::string& name : names) all[name];
  if (names.empty()) return all;
  Channel channel{config};
  if (!channel.is_open) {
    for (auto& [name, resolved] : all)
      resolved.complaint = "the resolver can't be used (resolver.servers, /etc/resolv.conf)";
    return all;
  }
  for (auto& [name, resolved] : all) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ::ares_getaddrinfo(channel.channel, name.c_str(), nullptr, &hints, on_answer, &resolved);
  }
  wait_for_answers(channel);
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

std::vector<std::string> resolve_endpoints(config::Config& config,
                                           const std::map<std::string, Resolved>& names) {
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

std::vector<std::string> resolve_endpoints(config::Config& config) {
  return resolve_endpoints(config, resolve_names(names_of(config), config.resolver));
}

// --- again and again -------------------------------------------------------------------------

void NameWatcher::watch(const config::Config& config) {
  const std::lock_guard lock{mutex_};
  config_ = config.resolver;
  std::map<std::string, Name> next;
  for (const config::UpstreamConfig& upstream : config.upstreams) {
    for (const config::EndpointConfig& endpoint : upstream.endpoints) {
      if (endpoint.host.empty()) continue;
      Name& name = next[endpoint.host];
      if (const auto known = names_.find(endpoint.host);
          known != names_.end() && name.last.addresses.empty())
        name = known->second;
      if (name.due == Clock::time_point{}) {
        name.due = Clock::now();  // its addresses are known, but not for how long
        const core::SocketAddress address = with_port(endpoint.destination.address(), 0).address();
        if (std::none_of(name.last.addresses.begin(), name.last.addresses.end(),
                         [&](const auto& one) { return one.text() == address.text(); }))
          name.last.addresses.push_back(address);
      }
    }
  }
  for (auto& [host, name] : next) {
    std::sort(name.last.addresses.begin(), name.last.addresses.end(),
              [](const auto& a, const auto& b) { return a.text() < b.text(); });
  }
  names_ = std::move(next);
  if (!names_.empty() && !thread_.joinable()) thread_ = std::thread{[this] { run(); }};
}

void NameWatcher::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake_.release();
  thread_.join();
}

std::map<std::string, Resolved> NameWatcher::names() {
  const std::lock_guard lock{mutex_};
  std::map<std::string, Resolved> all;
  for (const auto& [host, name] : names_) all[host] = name.last;
  return all;
}

void NameWatcher::run() {
  core::enter_thread("sluice-names", -1);
  while (!stopping_) {
    static_cast<void>(wake_.try_acquire_for(look_interval));
    std::set<std::string> due;
    config::ResolverConfig config;
    {
      const std::lock_guard lock{mutex_};
      config = config_;
      for (const auto& [host, name] : names_) {
        if (name.due <= Clock::now()) due.insert(host);
      }
    }
    if (due.empty() || stopping_) continue;
    auto answers = resolve_names(due, config);
    const std::lock_guard lock{mutex_};
    for (auto& [host, answer] : answers) {
      const auto known = names_.find(host);
      if (known == names_.end()) continue;
      Name& name = known->second;
      const bool is_good = !answer.addresses.empty();
      const auto life = std::clamp<std::chrono::nanoseconds>(
          answer.ttl.count() == 0 ? config.ttl_max : answer.ttl, config.ttl_min, config.ttl_max);
      name.due = Clock::now() + (is_good ? life : std::chrono::nanoseconds{retry_interval});
      if (!is_good || same_addresses(answer, name.last)) continue;
      name.last = std::move(answer);
      changed_ = true;
    }
  }
}

}  // namespace sluice::gateway
