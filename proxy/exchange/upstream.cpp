// Which endpoint a request goes to, and another one where that does no harm.
#include <algorithm>

#include "http/hygiene.h"
#include "proxy/exchange/edits.h"
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/identity.h"

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

}  // namespace

void Exchange::arm(Station& station, core::Duration phase) {
  phase_deadline_ = station.now() + phase;
  station.wheel().arm(timer_, std::min(phase_deadline_, deadline_));
}

void Exchange::go_upstream(Station& station) {
  attempt_.choose(station, context_);
  body_patience_ = attempt_.patience().body;
  tunnel_patience_ = attempt_.patience().tunnel;
  if (!protocol_.empty() && !has_room_for_tunnel(station)) {
    refuse_tunnel(station);
    return;
  }
  if (!take_place(station)) {
    refuse_upstream(station, CoreUpstream::Acquired::busy);
    return;
  }
  attempt_.upstream().note_request(station);
  if (record().received_at != core::Instant{}) note_request_received(station);
  const http::RequestHygiene hygiene{
      .underscores = route().underscores, .forwarded = route().forwarded, .trust = context_.trust};
  if (const uint32_t dropped = http::drop_request_fields(stream().request(), hygiene); dropped > 0)
    note_underscored(station, dropped);
  drop_identity(context_);
  drop_edited(stream().request().fields, route().request_edits);
  build_first_flight(station);
  start_flight(station);
  acquire_connection(station);
}

// One that only waits for its client makes room.
bool Exchange::take_place(Station& station) {
  if (attempt_.take_place(context_)) return true;
  CoreUpstream& upstream = attempt_.upstream();
  shed_stalled(station, upstream.stalled(), *this);
  if (attempt_.take_place(context_)) return true;
  upstream.refused_share.add();
  return false;
}

void Exchange::note_underscored(Station& station, uint32_t count) {
  station.counters.fields_underscored.add(count);
  const http::Field* field = http::find_underscored(stream().request().fields);
  station.dropped_field.note(stream().request().fields.name(*field), station.now());
}

void Exchange::acquire_connection(Station& station) {
  using Acquired = Attempt::Acquired;
  stream().watch(station);
  UpstreamConnection* connection = nullptr;
  Acquired outcome = attempt_.acquire(station, call_, context_, connection);
  if (outcome == Acquired::no_room) {
    shed_stalled(station, attempt_.upstream().stalled(), *this);
    outcome = attempt_.wait(station);
  }
  switch (outcome) {
    case Acquired::assigned:
      attach(*connection);
      on_connection(station);
      break;
    case Acquired::connecting:
      attach(*connection);
      state_ = State::connecting;
      arm(station, attempt_.patience().connect);
      break;
    case Acquired::queued:
      state_ = State::waiting_connection;
      if (const core::Duration longest = attempt_.queue_wait(); longest > core::Duration{0})
        arm(station, longest);
      break;
    case Acquired::no_room:
    case Acquired::busy:
    case Acquired::failed:
    case Acquired::none_healthy:
    case Acquired::circuit_open: refuse_upstream(station, outcome); break;
  }
}

void Exchange::attach(UpstreamConnection& connection) {
  call_.attach(connection);
  attempt_.note_assigned(context_, connection);
  if (context_.share != nullptr) ++context_.share->upstream;
}

void Exchange::detach() {
  call_.detach();
  if (context_.share != nullptr) --context_.share->upstream;
}

void Exchange::give_up_place() {
  if (attempt_.place() == nullptr) return;
  stop_waiting_for_client();
  if (state_ == State::tunneling) attempt_.place()->note_tunnel_end();
  attempt_.give_place_back();
}

void Exchange::note_answered(Station& station) {
  if (!std::exchange(is_answered_, true)) --station.unanswered;
}

void Exchange::refuse_upstream(Station& station, CoreUpstream::Acquired outcome) {
  using Acquired = CoreUpstream::Acquired;
  if (outcome == Acquired::none_healthy &&
      attempt_.failed().reason !=
          Reason{}) {  // nobody is left to try; what went wrong before says more
    reply_error(station, attempt_.failed().status, attempt_.failed().reason,
                stream().persistence());
    return;
  }
  Reason reason = Failure::upstream_busy;
  core::Duration wait = soon;
  if (outcome == Acquired::failed) {
    reason = local_lack(attempt_.upstream().lack()).value_or(Failure::local_descriptors);
    station.counters.local_lacks.add();
  }
  if (outcome == Acquired::none_healthy)
    reason = attempt_.plan().is_unresolved() ? Failure::upstream_unresolved
                                             : Failure::upstream_none_healthy;
  if (outcome == Acquired::circuit_open) {
    reason = Failure::upstream_circuit_open;
    wait = std::max(wait, attempt_.upstream().circuit().until_half_open(station.now()));
  }
  reply(station, {.status = 503,
                  .reason = reason,
                  .persistence = stream().persistence(),
                  .retry_after = wait});
}

void Exchange::on_pool_ready(Station& station) {
  station.wheel().disarm(timer_);
  acquire_connection(station);
}

// --- what went wrong -------------------------------------------------------------------------

void Exchange::judge_endpoint(Station& station, Outcome outcome) {
  if (call_.has_connection()) attempt_.judge(station, call_.connection(), outcome);
}

void Exchange::on_connect_failed(Station& station, const ChannelEvent& event) {
  SLUICE_ASSERT(state_ == State::connecting);
  const core::Error error = event.error;
  if (const auto lack = local_lack(error)) {
    station.counters.local_lacks.add();
    drop_upstream(station);
    reply(station, {.status = 503,
                    .reason = *lack,
                    .persistence = stream().persistence(),
                    .retry_after = soon});
    return;
  }
  judge_endpoint(station, Outcome::failure);
  const bool timed_out = error == core::Error::timed_out;
  const bool is_unbelieved =
      event.tls != tls::Failure::none && event.tls != tls::Failure::truncated;
  fail_try(station, timed_out ? 504 : 502,
           timed_out       ? Failure::upstream_connect_timeout
           : is_unbelieved ? Failure::upstream_tls
                           : Failure::upstream_refused,
           Again::if_allowed);
}

// The endpoint closed without a word. Nothing was written, or it does no harm to write it again.
void Exchange::on_upstream_silent(Station& station) {
  const bool nothing_written = call_.connection().has_sent_nothing() && call_.is_repeatable();
  const bool was_pooled = call_.connection().is_reused();
  if (was_pooled) {
    station.counters.upstream_stale.add();
    if (!may_be_replayed(context_, call_) && !nothing_written)
      station.counters.upstream_stale_lost.add();
  } else {
    judge_endpoint(station, Outcome::failure);
  }
  fail_try(station, 502, Failure::upstream_closed,
           may_be_replayed(context_, call_) || nothing_written ? Again::if_allowed : Again::never);
}

// This try is over. Another goes on in on_upstream_gone(), when nothing refers to the old one.
void Exchange::fail_try(Station& station, uint16_t status, Reason reason, Again again) {
  const bool was_connecting = state_ == State::connecting;
  if (again == Again::if_allowed && station.now() < deadline_ &&
      attempt_.note_failed(station, record(), {status, reason}, reached())) {
    drop_upstream(station);
    state_ = State::retrying;
    if (!was_connecting) call_.clear();
    return;
  }
  drop_upstream(station);
  reply_error(station, status, reason, stream().persistence());
}

Attempt::Reached Exchange::reached() const {
  const UpstreamConnection& connection = call_.connection();
  if (state_ == State::relaying && connection.is_reused()) return Attempt::Reached::stale;
  if (!connection.has_sent_nothing()) return Attempt::Reached::endpoint;
  return state_ == State::connecting ? Attempt::Reached::nobody : Attempt::Reached::unwritten;
}

void Exchange::drop_upstream(Station& station) {
  if (!call_.has_connection()) return;
  if (request_side_ != RequestSide::done) request_side_ = RequestSide::cut;
  station.wheel().disarm(timer_);
  discard_pipes(station);
  call_.connection().begin_close(station);
}

// The connection has let go of our buffers.
void Exchange::on_upstream_gone(Station& station) {
  detach();
  if (state_ != State::retrying) call_.clear();
  if (!stream().has_answer_begun()) call_.forget_response(station);
  switch (state_) {
    case State::retrying:
      request_side_ = RequestSide::waiting;
      response_side_ = ResponseSide::waiting;
      if (call_.has_nothing_to_send()) {
        call_.repeat();
        start_flight(station);
      }
      acquire_connection(station);
      break;
    case State::discarding:
      if (!stream().is_receiving()) receive_to_discard(station);
      break;
    default: end_if_quiet(station); break;
  }
}

// What the exchange still needs of its configuration, it has taken: others may take its place.
void Exchange::release_generation() {
  if (context_.generation == nullptr) return;
  attempt_.forget_plan();
  std::exchange(context_.generation, nullptr)->release();
}

}  // namespace sluice::proxy
