// Listening sockets: for an address a reuseport group with one socket a worker, in the order of the
// workers; for a unix socket, or a socket that was handed over alone, one that all workers share.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"

namespace sluice::gateway {

inline constexpr int listen_backlog = 4096;  // connections that wait to be accepted, on each socket

// Sockets that listen already: from the service manager (sd_listen_fds(3)), or from the process
// whose place is taken.
class InheritedListeners {
 public:
  InheritedListeners() = default;
  explicit InheritedListeners(std::vector<int> descriptors)
      : descriptors_(std::move(descriptors)) {}
  // Those of this address, in their order; they are the caller's from now on.
  [[nodiscard]] std::vector<int> take(const core::Destination& address);
  // What nobody asked for.
  [[nodiscard]] std::vector<int> take_rest() { return std::exchange(descriptors_, {}); }

 private:
  std::vector<int> descriptors_;
};

// How a socket is opened, beside its address.
struct ListenerRules {
  enum class Ipv4 : uint8_t {
    included,    // [::] takes IPv4, too, as the system has it
    of_another,  // another listener has it on the same port
  } ipv4 = Ipv4::included;
  uint32_t socket_buffer_bytes = core::limits::socket_buffer_bytes;  // 0: the kernel's own
  std::optional<unsigned> mode;                                      // of a unix socket's name
  std::optional<unsigned> group;
};
[[nodiscard]] ListenerRules rules_of(const config::ListenerConfig& listener,
                                     const config::Config& config);

// The sockets of one address. Workers close theirs themselves; this only remembers them.
struct ListenerSet {
  core::Destination wanted;
  core::Destination bound;  // with the port, where any would do
  std::vector<int> descriptors;
  enum class Kind : uint8_t {
    group,   // one a worker: connections can be steered
    shared,  // all are one socket
  };
  Kind kind = Kind::group;
  ListenerRules rules;
};

// Opens what is not inherited. What is wrong, in one line.
[[nodiscard]] std::optional<std::string> open_listener_set(const core::Destination& wanted,
                                                           const ListenerRules& rules,
                                                           size_t workers,
                                                           InheritedListeners& inherited,
                                                           ListenerSet& set);
// Of a set that stays: who may connect from now on. What is wrong, or nothing.
[[nodiscard]] std::optional<std::string> change_access(ListenerSet& set,
                                                       const ListenerRules& rules);
void close_listener_set(const ListenerSet& set);
// A unix socket leaves its name behind.
void remove_name(const ListenerSet& set);

[[nodiscard]] uint16_t bound_port(int listener);

// Steering: 0 or an errno.
int attach_steering(int listener, std::span<const sock_filter> program);
int detach_steering(int listener);

}  // namespace sluice::gateway
