// The simulated world: time that passes only when nobody has anything to do, sockets whose bytes
// arrive late, in pieces and sometimes not at all, and a seeded source of every decision. One
// thread runs all of it; one seed is one story.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/random.h"

namespace sluice::simulation {

// How rough the sea is. All in percent.
struct Faults {
  unsigned short_read = 0;   // a read takes less than there is
  unsigned short_write = 0;  // a write takes less than there is room for
  unsigned late = 0;         // a ready operation completes later than it could
  unsigned no_buffers = 0;   // a pooled receive finds the ring empty although it is not
  unsigned connect_fails = 0;
  unsigned reset = 0;  // a delivery becomes a reset of the connection
  unsigned cancel_misses = 0;
  unsigned stall = 0;       // a worker that could run does not, for a while
  unsigned no_sockets = 0;  // EMFILE
  unsigned no_ports = 0;    // EADDRNOTAVAIL of a connect
  unsigned no_memory = 0;   // ENOMEM: of a send at once it is a reason to wait, of an operation the
                            // end of the connection
  unsigned long_stall = 0;  // a worker stands still for seconds, in a thousandth of its turns
  unsigned wall_jumps =
      0;  // the wall clock is set, in a thousandth of the steps; the monotonic one never is
};

using SocketId = uint32_t;
inline constexpr SocketId no_socket = 0;

// Somebody at the other end of a socket: a client or an origin.
class Actor {
 public:
  virtual ~Actor() = default;
  virtual void on_socket(SocketId socket) = 0;  // something changed on it
};

class World {
 public:
  World(uint64_t seed, const Faults& faults);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  static World& current();  // the one that is alive

  [[nodiscard]] core::Instant now() const { return now_; }
  core::Duration wall_offset{0};
  core::Random& random() { return random_; }
  [[nodiscard]] Faults& faults() { return faults_; }
  bool happens(unsigned percent) { return percent > 0 && random_.below(100) < percent; }

  // --- events --------------------------------------------------------------------------------
  void at(core::Instant when, std::function<void()> event);
  void after(core::Duration delay, std::function<void()> event) {
    at(now_ + delay, std::move(event));
  }
  // Runs the events of this instant; whether there were any.
  bool run_due();
  [[nodiscard]] core::Instant next_event() const;
  void advance_to(core::Instant instant) { now_ = std::max(now_, instant); }

  // What must not happen. The first one is kept; the run is over.
  void violation(const std::string& what);
  [[nodiscard]] const std::string& violated() const { return violated_; }
  void trace(const std::string& line);
  bool tracing = false;

  // --- sockets, for both sides ---------------------------------------------------------------
  struct Socket {
    SocketId peer = no_socket;
    Actor* actor = nullptr;  // nullptr: it belongs to a simulated kernel
    std::string received;
    bool fin_received = false;
    bool reset = false;
    bool write_shut = false;
    bool read_shut = false;
    bool connecting = false;
    bool connected = false;
    bool listening = false;
    bool closed = false;
    uint64_t on_the_wire = 0;  // sent by the peer, not yet received here
    uint64_t window = 0;       // the peer may have this much on the wire and unread
    core::Instant last_delivery{};
    std::deque<SocketId> backlog;
    uint32_t address = 0;  // of who connected, host order
    uint16_t port = 0;
  };
  SocketId make_socket(Actor* actor);
  Socket& socket(SocketId id) { return sockets_[id]; }
  SocketId listen(uint16_t port, Actor* actor);
  // An actor connects to a listener of the gateway.
  SocketId connect_actor(Actor* actor, uint16_t port, uint32_t from_address);
  // A simulated kernel connects to an actor's port; true when that will succeed.
  void connect_kernel(SocketId id, uint16_t port);

  size_t send(SocketId from, std::string_view bytes);  // returns what was taken
  [[nodiscard]] uint64_t room(SocketId from);
  std::string take(SocketId id, size_t size_max);
  void shutdown_write(SocketId id);
  void shutdown_both(SocketId id);
  void close(SocketId id);
  void reset(SocketId id);
  [[nodiscard]] bool is_readable(SocketId id) {
    Socket& s = sockets_[id];
    return !s.received.empty() || s.fin_received || s.reset || s.read_shut;
  }

  // Something happened that may complete operations.
  uint64_t changes = 0;

 private:
  void deliver(SocketId to, std::string bytes, bool fin);
  void touch(SocketId id);
  core::Duration wire_delay();

  World* outer_;
  core::Random random_;
  Faults faults_;
  core::Instant now_{std::chrono::seconds{1'000'000}};
  std::multimap<core::Instant, std::function<void()>> events_;
  std::map<SocketId, Socket> sockets_;
  SocketId next_id_ = 1;
  std::map<uint16_t, std::vector<SocketId>> listeners_;
  std::string violated_;
};

}  // namespace sluice::simulation
