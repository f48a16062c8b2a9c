// One try at one endpoint, and whether another may follow.
#include "proxy/exchange/attempt.h"

#include <utility>

#include "http/method.h"
#include "proxy/exchange/request_key.h"

namespace sluice::proxy {

namespace {

// Of keys that choose and do not limit.
constexpr uint64_t sticky_id = 1;
constexpr uint64_t balance_id = 2;

}  // namespace

bool may_be_replayed(const RequestContext& context, const Http1Request& call) {
  return http::is_idempotent(context.request().method) && call.is_repeatable();
}

void Attempt::choose(Station& station, const RequestContext& context) {
  const config::TrafficSplit& to = context.route().to;
  uint16_t chosen = to.parts.front().upstream;
  if (to.parts.size() > 1) {
    const auto key =
        to.sticky.empty() ? std::nullopt : key_of(station, context, to.sticky, sticky_id);
    const uint64_t drawn = key ? key->claim.hash : station.random.next();
    auto place = static_cast<uint64_t>((static_cast<unsigned __int128>(drawn) * to.weights) >> 64);
    for (const config::TrafficSplit::Part& part : to.parts) {
      chosen = part.upstream;
      if (place < part.weight) break;
      place -= part.weight;
    }
  }
  plan_ = &context.generation->upstream(chosen);
  wish_.room = &plan_->room();
  if (config().balance != config::Balance::hash) return;
  const auto key = key_of(station, context, config().hash_key, balance_id);
  wish_.balance_key = key ? key->claim.hash : station.random.next();
}

bool Attempt::take_place(const RequestContext& context) {
  if (!upstream().take_place(plan_->room(), context.share)) return false;
  place_ = &upstream();
  return true;
}

void Attempt::give_place_back() { std::exchange(place_, nullptr)->give_place_back(); }

// A try after one that failed wants a connection that nobody used before, unless it never had one.
Attempt::Acquired Attempt::acquire(Station& station, const Http1Request& call,
                                   const RequestContext& context, UpstreamConnection*& connection) {
  wish_.may_be_replayed = may_be_replayed(context, call);
  return upstream().acquire(station, *plan_, wish_,
                            tries_ > 0 ? Freshness::fresh : Freshness::pooled_will_do, connection);
}

void Attempt::note_assigned(RequestContext& context, UpstreamConnection& connection) {
  wish_.tried = &connection.endpoint();
  context.record.endpoint = connection.endpoint().label();
}

// A request that is not whole yet has no deadline; it waits no longer than others.
core::Duration Attempt::queue_wait() const {
  return config().queue_wait > core::Duration{0} ? config().queue_wait : patience().deadline;
}

void Attempt::judge(Station& station, UpstreamConnection& connection, Outcome outcome) {
  if (has_plan()) plan_->note(connection.endpoint(), outcome, station.now());
}

// Where no byte was written, it is the next endpoint's turn, as long as there is another.
bool Attempt::note_failed(Station& station, Record& record, const Failed& failed, Reached reached) {
  failed_ = failed;
  const bool has_others = reached == Reached::nobody && refusals_ + size_t{1} < plan_->endpoints();
  if (!has_others && !plan_->tries_left(tries_ - refusals_)) return false;
  if (reached == Reached::endpoint && !upstream().may_retry(station, config())) {
    station.counters.retries_refused.add();
    return false;
  }
  if (has_others) ++refusals_;
  record.retries = ++tries_;
  station.counters.retries.add();
  if (reached == Reached::stale) wish_.tried = nullptr;  // a fresh connection to it may do
  return true;
}

}  // namespace sluice::proxy
