// Connections, places and the queue of one upstream on one core.
#include "proxy/upstream/core_upstream.h"

#include <algorithm>
#include <utility>

#include "proxy/upstream/upstream_connection.h"

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

CoreUpstream::Acquired CoreUpstream::acquire(Station& station, UpstreamPlan& plan,
                                             ConnectionRequest& request, Freshness freshness,
                                             UpstreamConnection*& connection) {
  const config::UpstreamConfig& config = plan.config();
  CoreEndpoint* endpoint =
      plan.choose(station.now(), station.random, request.balance_key, request.tried);
  if (endpoint == nullptr) {
    refused.add();
    return Acquired::none_healthy;
  }
  if (!circuit_.admit(config.circuit, station.now())) {
    refused.add();
    return Acquired::circuit_open;
  }
  while (freshness == Freshness::pooled_will_do && !endpoint->idle().empty()) {
    UpstreamConnection& idle = *endpoint->idle().front();
    // A request that may be sent twice finds out by trying; for the others one more look is worth a
    // system call.
    if (!request.may_be_replayed && idle.is_stale(station)) {
      station.counters.upstream_stale.add();
      idle.begin_close(station);
      continue;
    }
    idle.assign(station, *request.exchange);
    connection = &idle;
    return Acquired::assigned;
  }
  if (const Acquired outcome = open(station, *endpoint, request, connection);
      outcome != Acquired::no_room)
    return outcome;
  // A second try must not meet a pooled connection that dies as well: an idle one makes room for a
  // new one.
  if (freshness == Freshness::fresh && !endpoint->idle().empty()) {
    endpoint->idle().back()->begin_close(station);
    return enqueue(station, config, request);
  }
  make_room(station, plan.room());
  return Acquired::no_room;
}

// The connection that has been idle for longest goes: of any upstream where the core's room is
// taken, which is shared, and of this one where it has all that it may have.
void CoreUpstream::make_room(Station& station, const Room& room) {
  const bool is_own_bound =
      connections_ >= room.connections || !permits_.has_room() || !station.upstream_slots.full();
  UpstreamConnection* oldest =
      station.idle_upstreams.find_from_back([&](const UpstreamConnection& one) {
        return !is_own_bound || &one.endpoint().upstream() == this;
      });
  if (oldest != nullptr) oldest->begin_close(station);
}

bool CoreUpstream::take_place(const Room& room, const Share* share) {
  const auto taken = static_cast<uint32_t>(places.get());
  if (taken >= room.requests) return false;
  const uint32_t has = share == nullptr ? 0 : share->exchanges - 1;
  if (!is_within_fair_part(share, has, room.requests - taken)) return false;
  places.add();
  return true;
}

bool CoreUpstream::may_open(Station& station, const ConnectionRequest& request) const {
  const uint32_t most = request.room->connections;
  if (connections_ >= most || station.upstream_slots.full() || !permits_.has_room()) return false;
  const Share* share = request.share;
  return is_within_fair_part(share, share == nullptr ? 0 : share->upstream, most - connections_);
}

ConnectionRequest& CoreUpstream::next_waiting() {
  return newcomers_.empty() ? *waiting_.front() : *newcomers_.front();
}

bool CoreUpstream::could_serve(Station& station) {
  return waiting_count_ > 0 && may_open(station, next_waiting());
}

// Acquired::no_room: not now.
CoreUpstream::Acquired CoreUpstream::open(Station& station, CoreEndpoint& endpoint,
                                          ConnectionRequest& request,
                                          UpstreamConnection*& connection) {
  if (!may_open(station, request) || !permits_.take()) return Acquired::no_room;
  connection = station.upstream_slots.take();
  if (connection == nullptr) {
    permits_.give_back();
    return Acquired::no_room;
  }
  const core::Token timer =
      station.upstream_slots.token(static_cast<uint8_t>(Operation::upstream_timer), *connection);
  lack_ = connection->open(station, timer, *request.exchange, endpoint);
  if (lack_ == core::Error::none) {
    ++connections_;
    return Acquired::connecting;
  }
  permits_.give_back();
  station.upstream_slots.release(*connection);
  return Acquired::failed;
}

CoreUpstream::Acquired CoreUpstream::enqueue(Station& station, const config::UpstreamConfig& config,
                                             ConnectionRequest& request) {
  if (waiting_count_ >= config.queue) {
    refused.add();
    return Acquired::busy;
  }
  const bool is_newcomer = request.share != nullptr && request.share->upstream == 0;
  (is_newcomer ? newcomers_ : waiting_).push_back(request);
  ++waiting_count_;
  waiting_now.set(waiting_count_);
  if (!core::ListNode<HungryTag>::is_linked()) station.hungry.push_back(*this);
  note_starving(station);
  return Acquired::queued;
}

// All permits are taken: whoever has one that is idle gives it up, and whoever closes wakes us.
void CoreUpstream::note_starving(Station& station) {
  if (permits_.has_room() || is_starving_) return;
  is_starving_ = true;
  permits_.starving.fetch_add(1, std::memory_order_acq_rel);
  station.wake_others();
}

void CoreUpstream::withdraw(ConnectionRequest& request) {
  core::IntrusiveList<ConnectionRequest, WaitingTag>::remove(request);
  if (std::exchange(request.is_handed_over, false)) return;
  --waiting_count_;
  waiting_now.set(waiting_count_);
  if (waiting_count_ > 0) return;
  if (core::ListNode<HungryTag>::is_linked())
    core::IntrusiveList<CoreUpstream, HungryTag>::remove(*this);
  if (!is_starving_) return;
  is_starving_ = false;
  permits_.starving.fetch_sub(1, std::memory_order_acq_rel);
}

// Whoever is next is told when the exchange that has done with it runs no more.
void CoreUpstream::release(Station& station, UpstreamConnection& connection) {
  connection.become_idle(station);
  const bool others_need_it =
      waiting_count_ == 0 && permits_.starving.load(std::memory_order_relaxed) > 0;
  if (others_need_it || (station.is_draining() && waiting_count_ == 0) ||
      connection.has_expired(station)) {
    connection.begin_close(station);
  } else if (waiting_count_ > 0) {
    ConnectionRequest& next = next_waiting();
    withdraw(next);
    next.is_handed_over = true;
    station.handed_over.push_back(next);
  }
}

void CoreUpstream::on_closed(Station& station) {
  --connections_;
  permits_.give_back();
  if (permits_.starving.load(std::memory_order_acquire) > (is_starving_ ? 1U : 0U))
    station.wake_others();
}

// Asked at the end of each turn: a wake-up that is passed on from exchange to exchange gets lost
// with the one that leaves.
ConnectionRequest* CoreUpstream::serve_next(Station& station) {
  note_starving(station);
  if (!could_serve(station)) return nullptr;
  ConnectionRequest& next = next_waiting();
  withdraw(next);
  return &next;
}

void CoreUpstream::share_permits(Station& station, UpstreamPlan& plan) {
  if (permits_.starving.load(std::memory_order_acquire) <= (is_starving_ ? 1U : 0U)) return;
  UpstreamConnection* oldest = nullptr;
  plan.for_each_endpoint([&](CoreEndpoint& endpoint) {
    if (oldest == nullptr) oldest = endpoint.idle().back();
  });
  if (oldest != nullptr) oldest->begin_close(station);
}

// --- trying again ----------------------------------------------------------------------------

void CoreUpstream::roll_budget(Station& station) {
  const auto second =
      std::chrono::duration_cast<std::chrono::seconds>(station.now().time_since_epoch()).count();
  if (second == budget_second_) return;
  budget_second_ = second;
  requests_this_second_ = retries_this_second_ = 0;
}

void CoreUpstream::note_request(Station& station) {
  roll_budget(station);
  ++requests_this_second_;
}

bool CoreUpstream::may_retry(Station& station, const config::UpstreamConfig& config) {
  roll_budget(station);
  constexpr uint32_t always = 3;
  if (retries_this_second_ >= std::max(always, requests_this_second_ * config.retry_percent / 100))
    return false;
  ++retries_this_second_;
  return true;
}

}  // namespace sluice::proxy
