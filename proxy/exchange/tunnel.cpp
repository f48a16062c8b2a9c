// Tunnels: after a 101 (RFC 9110 7.8) the bytes are no HTTP any more, and go both ways as they
// come, one buffer at a time in each direction: nothing more is read before the other side has
// taken what there is. A FIN is passed on; the tunnel is over when both sides have sent theirs,
// when either breaks, or when nothing has moved for too long.
#include "http/hygiene.h"
#include "http/serializer.h"
#include "proxy/exchange/exchange.h"

namespace sluice::proxy {

// Of what the client offers, in its order, the first that the route lets through.
std::string_view Exchange::choose_protocol() const {
  std::string_view chosen;
  http::for_each_option(request_.upgrade, [&](std::string_view offered) {
    for (const std::string& allowed : route().upgrades) {
      if (chosen.empty() && http::equals_ignoring_case(offered, allowed)) chosen = offered;
    }
  });
  return chosen;
}

// At most half of what the core has of either, and half of what the upstream may have.
bool Exchange::has_room_for_tunnel(Station& station) const {
  const config::Bounds& bounds = station.config().bounds;
  const uint32_t most = std::max(
      1U, std::min({bounds.tunnels, bounds.exchanges / 2, bounds.upstream_connections / 2}));
  return station.counters.tunnels_open.get() < most &&
         (plan_ == nullptr || plan_->upstream().has_room_for_tunnel(plan_->room()));
}

void Exchange::refuse_tunnel(Station& station) {
  station.counters.tunnels_refused.add();
  drop_upstream(station);
  reply(station, {.status = 503,
                  .reason = Failure::tunnel_busy,
                  .persistence = persistence_,
                  .retry_after = std::chrono::seconds{1}});
}

// The endpoint agreed. A 101 that nobody asked for, that answers with another protocol or comes
// before the request is whole would make the two sides disagree about what the next bytes are.
bool Exchange::is_agreement() const {
  const bool was_asked = request_parser_.body_complete() && request_side_ != RequestSide::cut;
  return was_asked && !protocol_.empty() &&
         http::equals_ignoring_case(response_.upgrade, protocol_);
}

void Exchange::start_tunnel(Station& station, uint32_t head_end) {
  if (!has_room_for_tunnel(station)) {
    refuse_tunnel(station);
    return;
  }
  station.counters.tunnels_open.add();
  station.counters.tunnels.add();
  place_->note_tunnel();
  state_ = State::tunneling;
  up_.is_bulk = down_.is_bulk = false;  // until they show to be
  response_status_ = response_.status;
  response_at_ = station.now();
  deadline_ = core::Instant::max();
  persistence_ = http::Persistence::close;
  judge_endpoint(station, Outcome::success);
  plan_->upstream().duration.record(response_at_ - sent_at_);
  http::drop_response_fields(response_, http::Framing::none);
  edit_response();
  release_generation();
  http::Writer writer{response_buffer_.send_area()};
  http::write_switching_head(writer, response_, protocol_, request_id());
  to_downstream_.add(writer.written());
  to_downstream_.add(
      response_buffer_.receive_area().subspan(head_end, response_received_ - head_end));
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
    downstream_->channel().wait_readable(station);
  } else {
    downstream_->channel().receive(station, request_area().subspan(head_end_));
  }
}

void Exchange::relay_up(Station& station, uint32_t size) {
  body_bytes_ += size;
  up_.note_size(size);
  to_upstream_.add(request_area().subspan(head_end_, size));
  request_side_ = RequestSide::sending;
  send_upstream(station);
}

void Exchange::on_relayed_up(Station& station, SendProgress progress) {
  if (progress == SendProgress::broken) {
    // What it said before it broke may still come: the receive that is armed tells.
    to_upstream_.clear();
    request_side_ = RequestSide::cut;
    finish_tunnel_if_done(station);
    return;
  }
  // What the client said ahead of the 101 has waited for it.
  if (const auto ahead = request_area().subspan(follow_begin_, received_ - follow_begin_);
      !ahead.empty()) {
    follow_begin_ = received_;
    body_bytes_ += ahead.size();
    to_upstream_.add(ahead);
    send_upstream(station);
  } else {
    receive_from_client(station);
  }
}

void Exchange::on_client_end(Station& station) {
  request_side_ = RequestSide::done;
  upstream_->channel().end_output(station);
  finish_tunnel_if_done(station);
}

// --- down ------------------------------------------------------------------------------------

void Exchange::relay_down(Station& station, uint32_t size) {
  down_.note_size(size);
  to_downstream_.add(response_buffer_.receive_area().first(size));
  response_side_ = ResponseSide::sending;
  send_downstream(station);
}

void Exchange::on_endpoint_end(Station& station) {
  response_side_ = ResponseSide::done;
  downstream_->channel().end_output(station);
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
