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

class CoreUpstream : public core::ListNode<HungryTag> {
 public:
  CoreUpstream(ConnectionPermits& permits, uint16_t label) : permits_(permits), label_(label) {}

  enum class Acquired : uint8_t {
    assigned,      // an idle connection, ready to use
    connecting,    // a new one; on_connection() or on_connect_failed() follows
    queued,        // on_pool_ready() follows when there may be one
    busy,          // the bound and the queue are full
    failed,        // no descriptor for a new one
    none_healthy,  // nobody to send it to
    circuit_open,
  };
  Acquired acquire(Worker& worker, UpstreamPlan& plan, Exchange& exchange, Freshness freshness);
  // The exchange gives up waiting.
  void withdraw(Worker& worker, Exchange& exchange);
  // The exchange is done with the connection, and it may serve another.
  void release(Worker& worker, UpstreamConnection& connection);
  void forget(Worker& worker, UpstreamConnection& connection);  // an idle one closes
  void on_closed(Worker& worker);                               // a connection has
  void serve_waiting(Worker& worker);                           // while there is room for new ones
  // Somebody else needs a permit more than we need an idle connection.
  void share_permits(Worker& worker, UpstreamPlan& plan);

  // At most a share of the requests is tried again, and always three a second.
  void note_request(Worker& worker);
  [[nodiscard]] bool may_retry(Worker& worker, const config::UpstreamConfig& config);

  [[nodiscard]] CircuitBreaker& circuit() { return circuit_; }
  [[nodiscard]] const CircuitBreaker& circuit() const { return circuit_; }
  [[nodiscard]] bool has_waiting() const { return !waiting_.empty(); }
  [[nodiscard]] uint16_t label() const { return label_; }
  // --- read by others
  metrics::Histogram duration;  // from the last byte of a request to its response head
  core::Counter waiting_now;
  core::Counter refused;  // by the bound, the circuit, or because nobody was healthy

 private:
  [[nodiscard]] Acquired open(Worker& worker, CoreEndpoint& endpoint, Exchange& exchange);
  [[nodiscard]] Acquired enqueue(Worker& worker, const config::UpstreamConfig& config,
                                 Exchange& exchange);
  void roll_budget(Worker& worker);

  ConnectionPermits& permits_;
  uint16_t label_;
  CircuitBreaker circuit_;
  core::IntrusiveList<Exchange, WaitingTag> waiting_;
  uint32_t waiting_count_ = 0;
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
  std::vector<Choice> choices_;
  std::vector<Point> points_;  // of Balance::hash, sorted
};

}  // namespace sluice::proxy
