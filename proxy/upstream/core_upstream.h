// An upstream at work, on one core: which endpoint a request goes to, connections to use again, a
// queue of exchanges that wait for one, the retry budget, the circuit.
//
// What stays over configurations (the queue, the budget, the circuit, the number of connections) is
// an Upstream; what one configuration says of it (the endpoints and their weights) is an
// UpstreamPlan. An exchange keeps the plan it began with.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/intrusive_list.h"
#include "core/random.h"
#include "metrics/histogram.h"
#include "proxy/client_waiter.h"
#include "proxy/station.h"
#include "proxy/upstream/circuit_breaker.h"
#include "proxy/upstream/core_endpoint.h"

namespace sluice::proxy {

struct WaitingTag;
struct HungryTag;

enum class Freshness : uint8_t { pooled_will_do, fresh };

// Connections that one upstream may have, over all cores: who opens one takes a permit, who has
// closed it gives it back. A core that finds none says so, and the others give up idle ones. Shared
// by all cores; connections are opened seldom.
class ConnectionPermits {
 public:
  void set_most(uint32_t most) { most_.store(most, std::memory_order_relaxed); }
  [[nodiscard]] bool take();
  void give_back() { taken_.fetch_sub(1, std::memory_order_acq_rel); }
  [[nodiscard]] bool has_room() const;
  [[nodiscard]] uint32_t taken() const { return taken_.load(std::memory_order_relaxed); }
  [[nodiscard]] uint32_t most() const { return most_.load(std::memory_order_relaxed); }
  // How many cores wait for a permit.
  std::atomic<uint32_t> starving{0};

 private:
  std::atomic<uint32_t> most_{0};  // 0: no bound
  std::atomic<uint32_t> taken_{0};
};

class UpstreamPlan;

// What one upstream may have of a core, so that others have the rest.
struct Room {
  uint32_t requests = UINT32_MAX;
  uint32_t connections = UINT32_MAX;
  uint32_t tunnels = UINT32_MAX;
};

// What an exchange wants of an upstream; embedded in it. In a queue while it waits.
struct ConnectionRequest : core::ListNode<WaitingTag> {
  Exchange* exchange = nullptr;
  Share* share = nullptr;               // of the client's address; nullptr: it is not counted
  const Room* room = nullptr;           // what its upstream may have
  uint64_t balance_key = 0;             // what it is balanced by, where that is a key
  const CoreEndpoint* tried = nullptr;  // the endpoint of the last try
  bool may_be_replayed = false;         // it does no harm to send it twice
  bool is_handed_over = false;          // in Station::handed_over
};

class CoreUpstream : public core::ListNode<HungryTag> {
 public:
  CoreUpstream(ConnectionPermits& permits, uint16_t label) : permits_(permits), label_(label) {}

  enum class Acquired : uint8_t {
    assigned,      // an idle connection, ready to use
    connecting,    // a new one; on_connection() or on_connect_failed() follows
    queued,        // on_pool_ready() follows when there may be one
    no_room,       // nor for a new one; whoever can make room may do so, then enqueue()
    busy,          // the bound and the queue are full
    failed,        // no descriptor or memory for a new one: our own lack
    none_healthy,  // nobody to send it to
    circuit_open,
  };
  // With `assigned` and `connecting` the connection is in `connection`, and the exchange's.
  [[nodiscard]] Acquired acquire(Station& station, UpstreamPlan& plan, ConnectionRequest& request,
                                 Freshness freshness, UpstreamConnection*& connection);
  // After `no_room`.
  [[nodiscard]] Acquired enqueue(Station& station, const config::UpstreamConfig& config,
                                 ConnectionRequest& request);
  // The exchange gives up waiting.
  void withdraw(ConnectionRequest& request);
  // The exchange is done with the connection, and it may serve another.
  void release(Station& station, UpstreamConnection& connection);
  void on_closed(Station& station);  // a connection has
  // Who is next, while there is room for new connections; nullptr if there is none. It no longer
  // waits.
  [[nodiscard]] ConnectionRequest* serve_next(Station& station);
  // The last of those that need a place although they have none.
  [[nodiscard]] ConnectionRequest* last_newcomer() { return newcomers_.back(); }
  // Somebody else needs a permit more than we need an idle connection.
  void share_permits(Station& station, UpstreamPlan& plan);

  // --- its share of the core: bulkheads ------------------------------------------------------
  // One request more. False: it has all that it may, or the client's address has its part of that.
  [[nodiscard]] bool take_place(const Room& room, const Share* share);
  void give_place_back() { places.subtract(); }
  void note_tunnel() { ++tunnels_; }
  void note_tunnel_end() { --tunnels_; }
  [[nodiscard]] bool has_room_for_tunnel(const Room& room) const { return tunnels_ < room.tunnels; }
  // Those of its requests that only wait for their clients; longest first.
  [[nodiscard]] core::IntrusiveList<ClientWaiter, ClientWaitTag>& stalled() { return stalled_; }
  // Somebody waits, and a connection could be made for them now.
  [[nodiscard]] bool could_serve(Station& station);
  // Why there was no socket, after Acquired::failed.
  [[nodiscard]] core::Error lack() const { return lack_; }

  // At most a share of the requests is tried again, and always three a second.
  void note_request(Station& station);
  [[nodiscard]] bool may_retry(Station& station, const config::UpstreamConfig& config);

  [[nodiscard]] CircuitBreaker& circuit() { return circuit_; }
  [[nodiscard]] const CircuitBreaker& circuit() const { return circuit_; }
  [[nodiscard]] uint32_t waiting() const { return waiting_count_; }
  [[nodiscard]] uint16_t label() const { return label_; }
  // --- read by others
  metrics::Histogram duration;  // from the last byte of a request to its response head
  core::Counter waiting_now;
  core::Counter refused;        // by the bound, the circuit, or because nobody was healthy
  core::Counter places;         // requests that it has now, waiting ones too
  core::Counter refused_share;  // by its share of the core

 private:
  [[nodiscard]] Acquired open(Station& station, CoreEndpoint& endpoint, ConnectionRequest& request,
                              UpstreamConnection*& connection);
  [[nodiscard]] bool may_open(Station& station, const ConnectionRequest& request) const;
  [[nodiscard]] ConnectionRequest& next_waiting();
  void make_room(Station& station, const Room& room);
  void note_starving(Station& station);
  void roll_budget(Station& station);

  ConnectionPermits& permits_;
  uint16_t label_;
  CircuitBreaker circuit_;

  core::IntrusiveList<ConnectionRequest, WaitingTag>
      newcomers_;  // whose address has no connection yet
  core::IntrusiveList<ConnectionRequest, WaitingTag> waiting_;  // others, after them
  core::IntrusiveList<ClientWaiter, ClientWaitTag> stalled_;
  uint32_t waiting_count_ = 0;
  uint32_t connections_ = 0;  // open, idle ones too
  uint32_t tunnels_ = 0;
  core::Error lack_ = core::Error::none;
  bool is_starving_ = false;  // counted in the permits
  int64_t budget_second_ = 0;
  uint32_t requests_this_second_ = 0;
  uint32_t retries_this_second_ = 0;
};

// One configuration's endpoints of an upstream, for one core.
class UpstreamPlan {
 public:
  // `config` outlives the plan.
  UpstreamPlan(const config::UpstreamConfig& config, CoreUpstream& upstream)
      : config_(&config), upstream_(&upstream) {}
  void add(CoreEndpoint& endpoint, const config::EndpointConfig& config);
  // After the last add().
  void complete();
  void set_room(const Room& room) { room_ = room; }
  [[nodiscard]] const Room& room() const { return room_; }
  [[nodiscard]] size_t endpoints() const { return choices_.size(); }

  [[nodiscard]] const config::UpstreamConfig& config() const { return *config_; }
  [[nodiscard]] CoreUpstream& upstream() { return *upstream_; }
  // By the rules of the upstream, one that may be used; not `except` where there is another. `key`
  // is that of Balance::hash.
  [[nodiscard]] CoreEndpoint* choose(core::Instant now, core::Random& random, uint64_t key,
                                     const CoreEndpoint* except);
  // How the endpoint did; it may be left alone from now on.
  void note(CoreEndpoint& endpoint, Outcome outcome, core::Instant now);
  [[nodiscard]] bool has(const CoreEndpoint& endpoint) const;
  // None of its names has an address yet.
  [[nodiscard]] bool is_unresolved() const { return choices_.empty(); }
  [[nodiscard]] bool tries_left(uint32_t tries) const { return tries < config_->retries; }
  template <typename Visit>
  void for_each_endpoint(Visit&& visit) {
    for (Choice& choice : choices_) visit(*choice.endpoint);
  }

 private:
  struct Choice {
    CoreEndpoint* endpoint = nullptr;
    uint32_t weight = 1;
    config::EndpointUse use = config::EndpointUse::serving;
    int64_t credit = 0;  // of round_robin
  };
  struct Point {
    uint64_t hash;
    uint32_t choice;
  };
  [[nodiscard]] bool may_be_used(const Choice& choice, core::Instant now) const;
  [[nodiscard]] int64_t weight_of(const Choice& choice, core::Instant now) const;
  [[nodiscard]] CoreEndpoint* next_in_turn(core::Instant now, const CoreEndpoint* except);
  [[nodiscard]] CoreEndpoint* better_of_two(core::Instant now, core::Random& random,
                                            const CoreEndpoint* except);
  [[nodiscard]] CoreEndpoint* at_point(core::Instant now, uint64_t key, const CoreEndpoint* except);

  const config::UpstreamConfig* config_;
  CoreUpstream* upstream_;
  Room room_;
  std::vector<Choice> choices_;
  std::vector<Point> points_;  // of Balance::hash, sorted
};

}  // namespace sluice::proxy
