// Which endpoint a request goes to, and another one where that does no harm.
#include <algorithm>

#include "http/hygiene.h"
#include "proxy/exchange/exchange.h"

namespace sluice::proxy {

namespace {

constexpr core::Duration soon = std::chrono::seconds{1};

// What no endpoint can be blamed for.
std::optional<Failure> local_lack(core::Error error) {
  switch (error) {
    case core::Error::address_in_use: return Failure::local_ports;
    case core::Error::too_many_files: return Failure::local_descriptors;
    case core::Error::no_memory:
    case core::Error::no_buffers: return Failure::local_memory;
    default: return std::nullopt;
  }
}

// Of keys that choose and do not limit.
constexpr uint64_t sticky_id = 1;
constexpr uint64_t balance_id = 2;

}  // namespace

bool Exchange::may_be_replayed() const {
  return http::is_idempotent(request_.method) && !first_flight_.empty();
}

void Exchange::arm(Station& station, core::Duration phase) {
  phase_deadline_ = station.now() + phase;
  station.wheel().arm(timer_, std::min(phase_deadline_, deadline_));
}

void Exchange::go_upstream(Station& station) {
  choose_upstream(station);
  if (!protocol_.empty() && !has_room_for_tunnel(station)) {
    refuse_tunnel(station);
    return;
  }
  if (!take_place(station)) {
    refuse_upstream(station, CoreUpstream::Acquired::busy);
    return;
  }
  plan_->upstream().note_request(station);
  if (received_at_ != core::Instant{}) note_request_received(station);
  const http::RequestHygiene hygiene{
      .underscores = route().underscores, .forwarded = route().forwarded, .trust = trust_};
  if (const uint32_t dropped = http::drop_request_fields(request_, hygiene); dropped > 0)
    note_underscored(station, dropped);
  drop_identity();
  drop_edited(request_.fields, route().request_edits);
  build_first_flight(station);
  start_flight(station);
  acquire_connection(station, Freshness::pooled_will_do);
}

// One that only waits for its client makes room.
bool Exchange::take_place(Station& station) {
  CoreUpstream& upstream = plan_->upstream();
  if (!upstream.take_place(plan_->room(), share_)) {
    shed_stalled(station, upstream.stalled(), *this);
    if (!upstream.take_place(plan_->room(), share_)) {
      upstream.refused_share.add();
      return false;
    }
  }
  place_ = &upstream;
  return true;
}

void Exchange::note_underscored(Station& station, uint32_t count) {
  station.counters.fields_underscored.add(count);
  const http::Field* field = http::find_underscored(request_.fields);
  station.dropped_field.note(request_.fields.name(*field), station.now());
}

// By weight: by chance, or by a key, so that the same caller meets the same upstream.
void Exchange::choose_upstream(Station& station) {
  const config::TrafficSplit& to = route().to;
  uint16_t chosen = to.parts.front().upstream;
  if (to.parts.size() > 1) {
    const auto key = to.sticky.empty() ? std::nullopt : key_of(station, to.sticky, sticky_id);
    const uint64_t drawn = key ? key->claim.hash : station.random.next();
    auto place = static_cast<uint64_t>((static_cast<unsigned __int128>(drawn) * to.weights) >> 64);
    for (const config::TrafficSplit::Part& part : to.parts) {
      chosen = part.upstream;
      if (place < part.weight) break;
      place -= part.weight;
    }
  }
  plan_ = &generation_->upstream(chosen);
  body_patience_ = patience().body;
  tunnel_patience_ = patience().tunnel;
  if (plan_->config().balance != config::Balance::hash) return;
  const auto key = key_of(station, plan_->config().hash_key, balance_id);
  wish_.balance_key = key ? key->claim.hash : station.random.next();
}

void Exchange::acquire_connection(Station& station, Freshness freshness) {
  using Acquired = CoreUpstream::Acquired;
  downstream_->channel().watch(station);
  UpstreamConnection* connection = nullptr;
  wish_.room = &plan_->room();
  wish_.may_be_replayed = may_be_replayed();
  Acquired outcome = plan_->upstream().acquire(station, *plan_, wish_, freshness, connection);
  if (outcome == Acquired::no_room) {
    shed_stalled(station, plan_->upstream().stalled(), *this);
    outcome = plan_->upstream().enqueue(station, plan_->config(), wish_);
  }
  switch (outcome) {
    case Acquired::assigned:
      attach(*connection);
      on_connection(station);
      break;
    case Acquired::connecting:
      attach(*connection);
      state_ = State::connecting;
      arm(station, patience().connect);
      break;
    case Acquired::queued: {
      state_ = State::waiting_connection;
      // A request that is not whole yet has no deadline; it waits no longer than others.
      const core::Duration longest = plan_->config().queue_wait > core::Duration{0}
                                         ? plan_->config().queue_wait
                                         : patience().deadline;
      if (longest > core::Duration{0}) arm(station, longest);
      break;
    }
    case Acquired::no_room:
    case Acquired::busy:
    case Acquired::failed:
    case Acquired::none_healthy:
    case Acquired::circuit_open: refuse_upstream(station, outcome); break;
  }
}

void Exchange::attach(UpstreamConnection& connection) {
  upstream_ = &connection;
  wish_.tried = &connection.endpoint();
  endpoint_label_ = connection.endpoint().label();
  if (share_ != nullptr) ++share_->upstream;
}

void Exchange::detach() {
  upstream_ = nullptr;
  if (share_ != nullptr) --share_->upstream;
}

void Exchange::give_up_place() {
  if (place_ == nullptr) return;
  stop_waiting_for_client();
  if (state_ == State::tunneling) place_->note_tunnel_end();
  std::exchange(place_, nullptr)->give_place_back();
}

void Exchange::note_answered(Station& station) {
  if (!std::exchange(is_answered_, true)) --station.unanswered;
}

void Exchange::refuse_upstream(Station& station, CoreUpstream::Acquired outcome) {
  using Acquired = CoreUpstream::Acquired;
  if (outcome == Acquired::none_healthy &&
      failed_reason_ != Reason{}) {  // nobody is left to try; what went wrong before says more
    reply_error(station, failed_status_, failed_reason_, persistence_);
    return;
  }
  Reason reason = Failure::upstream_busy;
  core::Duration wait = soon;
  if (outcome == Acquired::failed) {
    reason = local_lack(plan_->upstream().lack()).value_or(Failure::local_descriptors);
    station.counters.local_lacks.add();
  }
  if (outcome == Acquired::none_healthy)
    reason = plan_->is_unresolved() ? Failure::upstream_unresolved : Failure::upstream_none_healthy;
  if (outcome == Acquired::circuit_open) {
    reason = Failure::upstream_circuit_open;
    wait = std::max(wait, plan_->upstream().circuit().until_half_open(station.now()));
  }
  reply(station,
        {.status = 503, .reason = reason, .persistence = persistence_, .retry_after = wait});
}

void Exchange::on_pool_ready(Station& station) {
  station.wheel().disarm(timer_);
  acquire_connection(station, retries_ > 0 ? Freshness::fresh : Freshness::pooled_will_do);
}

// --- what went wrong -------------------------------------------------------------------------

void Exchange::judge_endpoint(Station& station, Outcome outcome) {
  if (plan_ != nullptr && upstream_ != nullptr)
    plan_->note(upstream_->endpoint(), outcome, station.now());
}

void Exchange::on_connect_failed(Station& station, core::Error error) {
  SLUICE_ASSERT(state_ == State::connecting);
  if (const auto lack = local_lack(error)) {
    station.counters.local_lacks.add();
    drop_upstream(station);
    reply(station,
          {.status = 503, .reason = *lack, .persistence = persistence_, .retry_after = soon});
    return;
  }
  judge_endpoint(station, Outcome::failure);
  const bool timed_out = error == core::Error::timed_out;
  fail_try(station, timed_out ? 504 : 502,
           timed_out ? Failure::upstream_connect_timeout : Failure::upstream_refused,
           TryAgain::if_allowed);
}

// The endpoint closed without a word. Nothing was written, or it does no harm to write it again.
void Exchange::on_upstream_silent(Station& station) {
  const bool nothing_written = upstream_->has_sent_nothing() && !first_flight_.empty();
  const bool was_pooled = upstream_->is_reused();
  if (was_pooled) {
    station.counters.upstream_stale.add();
    if (!may_be_replayed() && !nothing_written) station.counters.upstream_stale_lost.add();
  } else {
    judge_endpoint(station, Outcome::failure);
  }
  fail_try(station, 502, Failure::upstream_closed,
           may_be_replayed() || nothing_written ? TryAgain::if_allowed : TryAgain::never);
}

// This try is over.
void Exchange::fail_try(Station& station, uint16_t status, Reason reason, TryAgain again) {
  failed_status_ = status;
  failed_reason_ = reason;
  // Meeting a pooled connection that had just been closed is nobody's failure, and not for the
  // budget to pay. Where no byte was written, it is the next endpoint's turn, as long as there is
  // another.
  const bool was_stale = state_ == State::relaying && upstream_->is_reused();
  const bool was_unwritten = upstream_->has_sent_nothing();
  const bool is_refusal = was_unwritten && state_ == State::connecting && !was_stale;
  const bool has_others = is_refusal && refusals_ + size_t{1} < plan_->endpoints();
  const bool may_try = has_others || plan_->tries_left(retries_ - refusals_);
  if (again == TryAgain::if_allowed && may_try && station.now() < deadline_) {
    if (was_stale || was_unwritten || plan_->upstream().may_retry(station, plan_->config())) {
      if (has_others) ++refusals_;
      ++retries_;
      station.counters.retries.add();
      if (was_stale) wish_.tried = nullptr;  // a fresh connection to it may do
      const bool was_connecting = state_ == State::connecting;
      drop_upstream(station);
      state_ =
          State::retrying;  // goes on in on_upstream_gone(), when nothing refers to the old try
      if (!was_connecting) to_upstream_.clear();
      return;
    }
    station.counters.retries_refused.add();
  }
  drop_upstream(station);
  reply_error(station, status, reason, persistence_);
}

void Exchange::drop_upstream(Station& station) {
  if (upstream_ == nullptr) return;
  if (request_side_ != RequestSide::done) request_side_ = RequestSide::cut;
  station.wheel().disarm(timer_);
  discard_pipes(station);
  upstream_->begin_close(station);
}

// The connection has let go of our buffers.
void Exchange::on_upstream_gone(Station& station) {
  detach();
  if (state_ != State::retrying) to_upstream_.clear();
  if (response_buffer_.is_held() && !response_begun())
    station.response_buffers.give_back(response_buffer_);
  switch (state_) {
    case State::retrying:
      request_side_ = RequestSide::waiting;
      response_side_ = ResponseSide::waiting;
      response_received_ = 0;
      if (to_upstream_.empty()) {
        to_upstream_.add(first_flight_);
        start_flight(station);
      }
      acquire_connection(station, Freshness::fresh);
      break;
    case State::discarding:
      if (!downstream_->channel().is_receiving()) discard(station, 0);
      break;
    default: end_if_quiet(station); break;
  }
}

// What the exchange still needs of its configuration, it has taken: others may take its place.
void Exchange::release_generation() {
  if (generation_ == nullptr) return;
  plan_ = nullptr;
  std::exchange(generation_, nullptr)->release();
}

}  // namespace sluice::proxy
