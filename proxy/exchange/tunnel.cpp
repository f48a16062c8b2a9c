// Tunnels: after a 101 (RFC 9110 7.8) the bytes are no HTTP any more, and go both ways as they
// come, one buffer at a time in each direction: nothing more is read before the other side has
// taken what there is. A FIN is passed on; the tunnel is over when both sides have sent theirs,
// when either breaks, or when nothing has moved for too long.
#include "http/hygiene.h"
#include "http/serializer.h"
#include "proxy/exchange/edits.h"
#include "proxy/exchange/exchange.h"

namespace sluice::proxy {

// At most half of what the core has of either, and half of what the upstream may have.
bool Exchange::has_room_for_tunnel(Station& station) const {
  const config::Bounds& bounds = station.config().bounds;
  const uint32_t most = std::max(
      1U, std::min({bounds.tunnels, bounds.exchanges / 2, bounds.upstream_connections / 2}));
  return station.counters.tunnels_open.get() < most &&
         (!attempt_.has_plan() || attempt_.upstream().has_room_for_tunnel(attempt_.plan().room()));
}

void Exchange::refuse_tunnel(Station& station) {
  station.counters.tunnels_refused.add();
  drop_upstream(station);
  reply(station, {.status = 503,
                  .reason = Failure::tunnel_busy,
                  .persistence = stream().persistence(),
                  .retry_after = std::chrono::seconds{1}});
}

// The endpoint agreed. A 101 that nobody asked for, that answers with another protocol or comes
// before the request is whole would make the two sides disagree about what the next bytes are.
bool Exchange::is_agreement() const {
  const bool was_asked = stream().body_complete() && request_side_ != RequestSide::cut;
  return was_asked && !protocol_.empty() &&
         http::equals_ignoring_case(call_.response().upgrade, protocol_);
}

void Exchange::start_tunnel(Station& station) {
  if (!has_room_for_tunnel(station)) {
    refuse_tunnel(station);
    return;
  }
  station.counters.tunnels_open.add();
  station.counters.tunnels.add();
  attempt_.place()->note_tunnel();
  state_ = State::tunneling;
  up_.is_bulk = down_.is_bulk = false;  // until they show to be
  record().status = call_.response().status;
  record().response_at = station.now();
  deadline_ = core::Instant::max();
  judge_endpoint(station, Outcome::success);
  attempt_.upstream().duration.record(record().response_at - record().sent_at);
  http::drop_response_fields(call_.response(), http::Framing::none);
  edit_response(context_, call_.response());
  stream().http1().send_switching(call_.head_area(), call_.response(), protocol_,
                                  {.request_id = record().request_id(),
                                   .date = {},
                                   .more = added_to_switching(context_, station.added_fields)});
  release_generation();
  stream().http1().send_raw(call_.behind_head());
  response_side_ = ResponseSide::sending;
  const bool request_has_left =
      request_side_ == RequestSide::done;  // its completion may come after the answer
  request_side_ = RequestSide::sending;
  send_downstream(station);
  if (state_ == State::tunneling && request_has_left) on_relayed_up(station, SendProgress::done);
}

// Something moved.
void Exchange::note_tunnel_progress(Station& station) {
  const bool one_side_is_done =
      request_side_ == RequestSide::done || response_side_ == ResponseSide::done;
  arm(station, one_side_is_done ? std::min(tunnel_patience_, station.config().timeouts.body)
                                : tunnel_patience_);
}

// --- up --------------------------------------------------------------------------------------

void Exchange::receive_from_client(Station& station) {
  request_side_ = RequestSide::receiving;
  note_tunnel_progress(station);
  if (may_splice_up()) {
    stream().http1().channel().wait_readable(station);
  } else {
    stream().http1().receive_raw(station);
  }
}

void Exchange::relay_up(Station& station, uint32_t size) {
  record().body_bytes += size;
  up_.note_size(size);
  call_.send_raw(stream().http1().raw(size));
  request_side_ = RequestSide::sending;
  send_upstream(station);
}

void Exchange::on_relayed_up(Station& station, SendProgress progress) {
  if (progress == SendProgress::broken) {
    // What it said before it broke may still come: the receive that is armed tells.
    call_.clear();
    request_side_ = RequestSide::cut;
    finish_tunnel_if_done(station);
    return;
  }
  // What the client said ahead of the 101 has waited for it.
  if (const auto ahead = stream().http1().take_ahead(); !ahead.empty()) {
    record().body_bytes += ahead.size();
    call_.send_raw(ahead);
    send_upstream(station);
  } else {
    receive_from_client(station);
  }
}

void Exchange::on_client_end(Station& station) {
  request_side_ = RequestSide::done;
  call_.channel().end_output(station);
  finish_tunnel_if_done(station);
}

// --- down ------------------------------------------------------------------------------------

void Exchange::relay_down(Station& station, uint32_t size) {
  down_.note_size(size);
  stream().http1().send_raw(call_.raw(size));
  response_side_ = ResponseSide::sending;
  send_downstream(station);
}

void Exchange::on_endpoint_end(Station& station) {
  response_side_ = ResponseSide::done;
  stream().http1().channel().end_output(station);
  finish_tunnel_if_done(station);
}

void Exchange::finish_tunnel_if_done(Station& station) {
  const bool nothing_goes_up =
      request_side_ == RequestSide::done || request_side_ == RequestSide::cut;
  if (!nothing_goes_up || response_side_ != ResponseSide::done) {
    note_tunnel_progress(station);
    return;
  }
  if (station.is_draining()) station.counters.drain_finished.add();
  finish(station, Afterwards::close);
}

}  // namespace sluice::proxy
