// Large bodies and busy tunnels, without copying: see proxy/splice.h. Whether a direction goes this
// way is asked anew at each wake-up: it must have brought much the last time, and a pipe must be
// free; else it is copied, as all that is small.
#include "proxy/exchange/exchange.h"

namespace sluice::proxy {

namespace limits = core::limits;

namespace {

void give_back(Station& station, Splice& splice) {
  if (splice.pipe.is_open()) station.pipes.give_back(splice.pipe);
}

void discard_pipe(Station& station, Splice& splice) {
  if (splice.pipe.is_open()) station.pipes.discard(splice.pipe);
  splice.in_pipe = 0;
}

bool take_pipe(Station& station, Splice& splice) {
  if (!splice.pipe.is_open()) splice.pipe = station.pipes.take();
  return splice.pipe.is_open();
}

}  // namespace

bool Exchange::can_splice() const { return stream().can_splice() && call_.channel().can_splice(); }

bool Exchange::may_splice_up() const {
  if (!up_.is_bulk || !can_splice()) return false;
  return state_ == State::tunneling ||
         (stream().request().framing == http::Framing::length &&
          stream().http1().body_remaining() >= limits::splice_bytes_min);
}

bool Exchange::may_splice_down() const {
  if (!down_.is_bulk || !can_splice()) return false;
  const bool is_as_it_comes = call_.response().framing == http::Framing::length &&
                              stream().http1().framing() == http::Framing::length;
  return state_ == State::tunneling ||
         (is_as_it_comes && call_.body_remaining() >= limits::splice_bytes_min);
}

void Exchange::discard_pipes(Station& station) {
  discard_pipe(station, up_);
  discard_pipe(station, down_);
}

// --- up --------------------------------------------------------------------------------------

// Also left over from an exchange before, or from what has been decided otherwise meanwhile.
void Exchange::on_downstream_readable(Station& station) {
  const bool expected = (state_ == State::relaying || state_ == State::tunneling) &&
                        request_side_ == RequestSide::receiving;
  if (expected && !stream().is_receiving()) splice_up(station);
}

void Exchange::on_upstream_writable(Station& station) {
  if (request_side_ == RequestSide::sending && up_.in_pipe > 0) splice_up(station);
}

void Exchange::splice_up(Station& station) {
  if (!take_pipe(station, up_)) {
    up_.is_bulk = false;
    receive_request(station);
    return;
  }
  const bool tunnels = state_ == State::tunneling;
  const bool was_waiting = request_side_ == RequestSide::receiving;
  uint64_t remaining = tunnels ? UINT64_MAX : stream().http1().body_remaining();
  const uint64_t before = remaining;
  const Spliced spliced =
      splice_on(station, up_, stream().http1().channel(), call_.channel(), remaining);
  const uint64_t taken = before - remaining;
  up_.note_size(spliced.moved);
  station.counters.spliced_bytes.add(spliced.moved);
  record().body_bytes += taken;
  if (!tunnels && taken > 0) {
    stream().http1().note_body_taken(taken);
    if (stream().body_complete()) note_request_received(station);
  }
  if (!tunnels && was_waiting && is_body_too_slow(station, taken)) {
    discard_pipe(station, up_);
    on_downstream_timeout(station);
    return;
  }
  request_side_ = RequestSide::sending;
  using Next = Spliced::Next;
  switch (spliced.next) {
    case Next::writable:
      on_upstream_progress(station);
      call_.channel().wait_writable(station);
      break;
    case Next::readable:
      give_back(station, up_);
      receive_request(station);
      break;
    case Next::done:
      give_back(station, up_);
      on_upstream_sent(station, SendProgress::done);
      break;
    case Next::ended:
      give_back(station, up_);
      on_downstream_end(station);
      break;
    case Next::source_broken:
      give_back(station, up_);
      on_downstream_closed(station);
      break;
    case Next::sink_broken:
      discard_pipe(station, up_);
      on_upstream_sent(station, SendProgress::broken);
      break;
  }
}

// --- down ------------------------------------------------------------------------------------

void Exchange::on_upstream_readable(Station& station) {
  const bool expected =
      (state_ == State::relaying && stream().has_answer_begun()) || state_ == State::tunneling;
  if (expected && response_side_ == ResponseSide::receiving) splice_down(station);
}

void Exchange::on_downstream_writable(Station& station) {
  if (response_side_ == ResponseSide::sending && down_.in_pipe > 0) splice_down(station);
}

void Exchange::splice_down(Station& station) {
  if (!take_pipe(station, down_)) {
    down_.is_bulk = false;
    receive_response(station);
    return;
  }
  const bool tunnels = state_ == State::tunneling;
  uint64_t remaining = tunnels ? UINT64_MAX : call_.body_remaining();
  const uint64_t before = remaining;
  const Spliced spliced =
      splice_on(station, down_, call_.channel(), stream().http1().channel(), remaining);
  down_.note_size(spliced.moved);
  station.counters.spliced_bytes.add(spliced.moved);
  if (!tunnels) call_.note_body_taken(before - remaining);
  response_side_ = ResponseSide::sending;
  using Next = Spliced::Next;
  switch (spliced.next) {
    case Next::writable:
      if (tunnels)
        note_tunnel_progress(station);
      else
        station.wheel().disarm(timer_);  // it is the client's turn
      begin_waiting_for_client(station);
      stream().connection().wait_writable(station);
      break;
    case Next::readable:
      give_back(station, down_);
      receive_response(station);
      break;
    case Next::done:
      give_back(station, down_);
      call_.channel().look_for_unread_bytes(station);
      finish_response(station);
      break;
    case Next::ended:
      give_back(station, down_);
      on_upstream_closed(station, core::Error::none);
      break;
    case Next::source_broken:
      give_back(station, down_);
      on_upstream_closed(station, core::Error::reset);
      break;
    case Next::sink_broken:
      discard_pipe(station, down_);
      on_downstream_closed(station);
      break;
  }
}

}  // namespace sluice::proxy
