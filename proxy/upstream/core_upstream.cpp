#include "proxy/upstream/core_upstream.h"

#include <algorithm>

#include "proxy/exchange/exchange.h"
#include "proxy/worker.h"

namespace sluice::proxy {

namespace {

// Where an address has this many times what is free, it waits: however many addresses hold on to
// what they have, something is left for others.
bool is_within_fair_part(const Share* share, uint32_t has, uint32_t free) {
  constexpr uint64_t times = 2;
  return share == nullptr || has < times * free;
}

}  // namespace

// --- permits ---------------------------------------------------------------------------------

bool ConnectionPermits::has_room() const {
  const uint32_t most = most_.load(std::memory_order_relaxed);
  return most == 0 || taken_.load(std::memory_order_acquire) < most;
}

bool ConnectionPermits::take() {
  const uint32_t most = most_.load(std::memory_order_relaxed);
  uint32_t taken = taken_.load(std::memory_order_relaxed);
  while (most == 0 || taken < most) {
    if (taken_.compare_exchange_weak(taken, taken + 1, std::memory_order_acq_rel)) return true;
  }
  return false;
}

// --- a connection for an exchange ------------------------------------------------------------

CoreUpstream::Acquired CoreUpstream::acquire(Worker& worker, UpstreamPlan& plan, Exchange& exchange,
                                             Freshness freshness) {
  const config::UpstreamConfig& config = plan.config();
  CoreEndpoint* endpoint =
      plan.choose(worker.now(), worker.random(), exchange.balance_key(), exchange.tried());
  if (endpoint == nullptr) {
    refused.add();
    return Acquired::none_healthy;
  }
  if (!circuit_.admit(config.circuit, worker.now())) {
    refused.add();
    return Acquired::circuit_open;
  }
  while (freshness == Freshness::pooled_will_do && endpoint->idle() != nullptr) {
    UpstreamConnection& connection = *endpoint->idle();
    // A request that may be sent twice finds out by trying; for the others one more look is worth a
    // system call.
    if (!exchange.may_be_replayed() && connection.is_stale(worker)) {
      worker.counters().upstream_stale.add();
      connection.begin_close(worker);
      continue;
    }
    forget(worker, connection);
    connection.assign(worker, exchange);
    exchange.attach(connection);
    return Acquired::assigned;
  }
  if (const Acquired outcome = open(worker, *endpoint, exchange); outcome != Acquired::queued)
    return outcome;
  // A second try must not meet a pooled connection that dies as well: an idle one makes room for a
  // new one.
  if (freshness == Freshness::fresh && endpoint->oldest_idle() != nullptr) {
    endpoint->oldest_idle()->begin_close(worker);
  } else {
    // The core's room is shared with others, what the upstream may have is its own.
    const bool is_own_bound = connections_ >= plan.room().connections || !permits_.has_room() ||
                              !worker.upstreams().full();
    worker.make_room_upstream(is_own_bound ? this : nullptr);
    worker.shed_stalled(stalled_, exchange);
  }
  return enqueue(worker, config, exchange);
}

bool CoreUpstream::take_place(Worker& worker, const Room& room, Exchange& exchange) {
  const auto is_free = [&] {
    const auto taken = static_cast<uint32_t>(places.get());
    if (taken >= room.requests) return false;
    const Share* share = exchange.share();
    return is_within_fair_part(share, share == nullptr ? 0 : share->exchanges - 1,
                               room.requests - taken);
  };
  if (!is_free()) {
    worker.shed_stalled(stalled_, exchange);
    if (!is_free()) {
      refused_share.add();
      return false;
    }
  }
  places.add();
  return true;
}

bool CoreUpstream::may_open(Worker& worker, const Exchange& exchange) const {
  const uint32_t most = exchange.room().connections;
  if (connections_ >= most || worker.upstreams().full() || !permits_.has_room()) return false;
  const Share* share = exchange.share();
  return is_within_fair_part(share, share == nullptr ? 0 : share->upstream, most - connections_);
}

Exchange* CoreUpstream::next_waiting() {
  return newcomers_.empty() ? waiting_.front() : newcomers_.front();
}

bool CoreUpstream::could_serve(Worker& worker) {
  return waiting_count_ > 0 && may_open(worker, *next_waiting());
}

// Acquired::queued: there is no room now.
CoreUpstream::Acquired CoreUpstream::open(Worker& worker, CoreEndpoint& endpoint,
                                          Exchange& exchange) {
  if (!may_open(worker, exchange) || !permits_.take()) return Acquired::queued;
  UpstreamConnection* connection = worker.upstreams().take();
  if (connection == nullptr) {
    permits_.give_back();
    return Acquired::queued;
  }
  lack_ = connection->open(worker, exchange, endpoint);
  if (lack_ == core::Error::none) {
    ++connections_;
    exchange.attach(*connection);
    return Acquired::connecting;
  }
  permits_.give_back();
  worker.release(*connection);
  return Acquired::failed;
}

CoreUpstream::Acquired CoreUpstream::enqueue(Worker& worker, const config::UpstreamConfig& config,
                                             Exchange& exchange) {
  if (waiting_count_ >= config.queue) {
    refused.add();
    return Acquired::busy;
  }
  const bool is_newcomer = exchange.share() != nullptr && exchange.share()->upstream == 0;
  (is_newcomer ? newcomers_ : waiting_).push_back(exchange);
  ++waiting_count_;
  waiting_now.set(waiting_count_);
  if (!core::ListNode<HungryTag>::is_linked()) worker.hungry_upstreams().push_back(*this);
  note_starving(worker);
  return Acquired::queued;
}

// All permits are taken: whoever has one that is idle gives it up, and whoever closes wakes us.
void CoreUpstream::note_starving(Worker& worker) {
  if (permits_.has_room() || is_starving_) return;
  is_starving_ = true;
  permits_.starving.fetch_add(1, std::memory_order_acq_rel);
  worker.wake_others();
}

void CoreUpstream::withdraw(Worker& worker, Exchange& exchange) {
  core::IntrusiveList<Exchange, WaitingTag>::remove(exchange);
  --waiting_count_;
  waiting_now.set(waiting_count_);
  if (waiting_count_ > 0) return;
  if (core::ListNode<HungryTag>::is_linked())
    core::IntrusiveList<CoreUpstream, HungryTag>::remove(*this);
  if (!is_starving_) return;
  is_starving_ = false;
  permits_.starving.fetch_sub(1, std::memory_order_acq_rel);
  static_cast<void>(worker);
}

void CoreUpstream::release(Worker& worker, UpstreamConnection& connection) {
  CoreEndpoint& endpoint = connection.endpoint();
  connection.become_idle(worker);
  endpoint.put_idle(connection);
  worker.note_idle(connection);
  worker.counters().upstream_idle.add();
  const bool others_need_it =
      waiting_count_ == 0 && permits_.starving.load(std::memory_order_relaxed) > 0;
  if (others_need_it || (worker.is_draining() && waiting_count_ == 0) ||
      connection.has_expired(worker)) {
    connection.begin_close(worker);
  } else if (waiting_count_ > 0) {
    Exchange& next = *next_waiting();
    withdraw(worker, next);
    next.on_pool_ready(worker);
  }
}

void CoreUpstream::forget(Worker& worker, UpstreamConnection& connection) {
  connection.endpoint().take_idle(connection);
  worker.note_not_idle(connection);
  worker.counters().upstream_idle.subtract();
}

void CoreUpstream::on_closed(Worker& worker) {
  --connections_;
  permits_.give_back();
  if (permits_.starving.load(std::memory_order_acquire) > (is_starving_ ? 1U : 0U))
    worker.wake_others();
}

// Asked at the end of each turn: a wake-up that is passed on from exchange to exchange gets lost
// with the one that leaves. Each gets one chance a turn.
void CoreUpstream::serve_waiting(Worker& worker) {
  for (uint32_t chances = waiting_count_; chances > 0 && waiting_count_ > 0; --chances) {
    note_starving(worker);
    if (!could_serve(worker)) {
      // Newcomers are served in turn: each that stands before the last one needs a place, too.
      if (!newcomers_.empty()) worker.shed_stalled(stalled_, *newcomers_.back());
      return;
    }
    Exchange& next = *next_waiting();
    withdraw(worker, next);
    next.on_pool_ready(worker);
  }
}

void CoreUpstream::share_permits(Worker& worker, UpstreamPlan& plan) {
  if (permits_.starving.load(std::memory_order_acquire) <= (is_starving_ ? 1U : 0U)) return;
  UpstreamConnection* oldest = nullptr;
  plan.for_each_endpoint([&](CoreEndpoint& endpoint) {
    if (oldest == nullptr) oldest = endpoint.oldest_idle();
  });
  if (oldest != nullptr) oldest->begin_close(worker);
}

// --- trying again ----------------------------------------------------------------------------

void CoreUpstream::roll_budget(Worker& worker) {
  const auto second =
      std::chrono::duration_cast<std::chrono::seconds>(worker.now().time_since_epoch()).count();
  if (second == budget_second_) return;
  budget_second_ = second;
  requests_this_second_ = retries_this_second_ = 0;
}

void CoreUpstream::note_request(Worker& worker) {
  roll_budget(worker);
  ++requests_this_second_;
}

bool CoreUpstream::may_retry(Worker& worker, const config::UpstreamConfig& config) {
  roll_budget(worker);
  constexpr uint32_t always = 3;
  if (retries_this_second_ >= std::max(always, requests_this_second_ * config.retry_percent / 100))
    return false;
  ++retries_this_second_;
  return true;
}

}  // namespace sluice::proxy
