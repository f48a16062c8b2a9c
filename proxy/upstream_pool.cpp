#include "proxy/upstream_pool.h"

#include <algorithm>

#include "proxy/exchange.h"
#include "proxy/worker.h"

namespace sluice::proxy {

UpstreamPool::Outcome UpstreamPool::acquire(Worker& worker, Exchange& exchange, Freshness freshness) {
  while (freshness == Freshness::pooled_will_do && !idle_.empty()) {
    UpstreamConnection& connection = *idle_.front();
    // A request that may be sent twice finds out by trying; for the others one more look is worth a system call.
    if (!exchange.may_be_replayed() && connection.is_stale(worker)) {
      worker.counters().upstream_stale.add();
      connection.begin_close(worker);
      continue;
    }
    forget(worker, connection);
    connection.assign(worker, exchange);
    exchange.attach(connection);
    return Outcome::assigned;
  }
  if (UpstreamConnection* connection = worker.upstreams().take(); connection != nullptr) {
    if (connection->open(worker, exchange)) {
      exchange.attach(*connection);
      return Outcome::connecting;
    }
    worker.release(*connection);
    return Outcome::failed;
  }
  // A second try must not meet a pooled connection that dies as well: an idle one makes room for a new one.
  if (freshness == Freshness::fresh && !idle_.empty()) idle_.back()->begin_close(worker);
  if (waiting_count_ >= worker.config().bounds.upstream_waiting) return Outcome::busy;
  waiting_.push_back(exchange);
  ++waiting_count_;
  return Outcome::queued;
}

void UpstreamPool::withdraw(Exchange& exchange) {
  core::IntrusiveList<Exchange, WaitingTag>::remove(exchange);
  --waiting_count_;
}

void UpstreamPool::release(Worker& worker, UpstreamConnection& connection) {
  connection.become_idle(worker);
  idle_.push_front(connection);
  worker.counters().upstream_idle.add();
  if (worker.is_draining() && waiting_.empty()) {
    connection.begin_close(worker);
  } else if (!waiting_.empty()) {
    Exchange& next = *waiting_.front();
    withdraw(next);
    next.on_pool_ready(worker);
  }
}

void UpstreamPool::forget(Worker& worker, UpstreamConnection& connection) {
  core::IntrusiveList<UpstreamConnection, IdleTag>::remove(connection);
  worker.counters().upstream_idle.subtract();
}

// Asked at the end of each turn: a wake-up that is passed on from exchange to exchange gets lost with the one that leaves.
void UpstreamPool::serve_waiting(Worker& worker) {
  while (!waiting_.empty() && !worker.upstreams().full()) {
    Exchange& next = *waiting_.front();
    withdraw(next);
    next.on_pool_ready(worker);
  }
}

void UpstreamPool::close_idle(Worker& worker) {
  while (!idle_.empty()) idle_.front()->begin_close(worker);
}

void UpstreamPool::roll_budget(Worker& worker) {
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(worker.now().time_since_epoch()).count();
  if (second == budget_second_) return;
  budget_second_ = second;
  requests_this_second_ = retries_this_second_ = 0;
}

void UpstreamPool::note_request(Worker& worker) {
  roll_budget(worker);
  ++requests_this_second_;
}

bool UpstreamPool::may_retry(Worker& worker) {
  roll_budget(worker);
  if (retries_this_second_ >= std::max(3U, requests_this_second_ / 5)) return false;
  ++retries_this_second_;
  return true;
}

}  // namespace sluice::proxy
