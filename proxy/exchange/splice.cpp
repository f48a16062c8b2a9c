// Large bodies and busy tunnels, without copying: see proxy/splice.h. Whether a direction goes this
// way is asked anew at each wake-up: it must have brought much the last time, and a pipe must be
// free; else it is copied, as all that is small.
#include "proxy/exchange/exchange.h"
#include "proxy/worker.h"

namespace sluice::proxy {

namespace limits = core::limits;

namespace {

void give_back(Worker& worker, Splice& splice) {
  if (splice.pipe.is_open()) worker.pipes().give_back(splice.pipe);
}

void discard_pipe(Worker& worker, Splice& splice) {
  if (splice.pipe.is_open()) worker.pipes().discard(splice.pipe);
  splice.in_pipe = 0;
}

bool take_pipe(Worker& worker, Splice& splice) {
  if (!splice.pipe.is_open()) splice.pipe = worker.pipes().take();
  return splice.pipe.is_open();
}

}  // namespace

bool Exchange::may_splice_up() const {
  if (!up_.is_bulk) return false;
  return state_ == State::tunneling || (request_.framing == http::Framing::length &&
                                        request_parser_.remaining() >= limits::splice_bytes_min);
}

bool Exchange::may_splice_down() const {
  if (!down_.is_bulk) return false;
  const bool is_as_it_comes =
      response_.framing == http::Framing::length && response_framing_ == http::Framing::length;
  return state_ == State::tunneling ||
         (is_as_it_comes && response_parser_.remaining() >= limits::splice_bytes_min);
}

void Exchange::discard_pipes(Worker& worker) {
  discard_pipe(worker, up_);
  discard_pipe(worker, down_);
}

// --- up --------------------------------------------------------------------------------------

// Also left over from an exchange before, or from what has been decided otherwise meanwhile.
void Exchange::on_downstream_readable(Worker& worker) {
  const bool expected = (state_ == State::relaying || state_ == State::tunneling) &&
                        request_side_ == RequestSide::receiving;
  if (expected && !downstream_->is_receiving()) splice_up(worker);
}

void Exchange::on_upstream_writable(Worker& worker) {
  if (request_side_ == RequestSide::sending && up_.in_pipe > 0) splice_up(worker);
}

void Exchange::splice_up(Worker& worker) {
  if (!take_pipe(worker, up_)) {
    up_.is_bulk = false;
    receive_request(worker);
    return;
  }
  const bool tunnels = state_ == State::tunneling;
  const bool was_waiting = request_side_ == RequestSide::receiving;
  uint64_t remaining = tunnels ? UINT64_MAX : request_parser_.remaining();
  const uint64_t before = remaining;
  const Spliced spliced = splice_on(worker, up_, *downstream_, *upstream_, remaining);
  const uint64_t taken = before - remaining;
  up_.note_size(spliced.moved);
  worker.counters().spliced_bytes.add(spliced.moved);
  body_bytes_ += taken;
  if (!tunnels && taken > 0) {
    request_parser_.note_taken(taken);
    if (request_parser_.body_complete()) note_request_received(worker);
  }
  if (!tunnels && was_waiting && is_body_too_slow(worker, taken)) {
    discard_pipe(worker, up_);
    on_downstream_timeout(worker);
    return;
  }
  request_side_ = RequestSide::sending;
  using Next = Spliced::Next;
  switch (spliced.next) {
    case Next::writable:
      on_upstream_progress(worker);
      upstream_->wait_writable(worker);
      break;
    case Next::readable:
      give_back(worker, up_);
      receive_request(worker);
      break;
    case Next::done:
      give_back(worker, up_);
      on_upstream_sent(worker, SendProgress::done);
      break;
    case Next::ended:
      give_back(worker, up_);
      on_downstream_end(worker);
      break;
    case Next::source_broken:
      give_back(worker, up_);
      on_downstream_closed(worker);
      break;
    case Next::sink_broken:
      discard_pipe(worker, up_);
      on_upstream_sent(worker, SendProgress::broken);
      break;
  }
}

// --- down ------------------------------------------------------------------------------------

void Exchange::on_upstream_readable(Worker& worker) {
  const bool expected =
      (state_ == State::relaying && response_begun()) || state_ == State::tunneling;
  if (expected && response_side_ == ResponseSide::receiving) splice_down(worker);
}

void Exchange::on_downstream_writable(Worker& worker) {
  if (response_side_ == ResponseSide::sending && down_.in_pipe > 0) splice_down(worker);
}

void Exchange::splice_down(Worker& worker) {
  if (!take_pipe(worker, down_)) {
    down_.is_bulk = false;
    receive_response(worker);
    return;
  }
  const bool tunnels = state_ == State::tunneling;
  uint64_t remaining = tunnels ? UINT64_MAX : response_parser_.remaining();
  const uint64_t before = remaining;
  const Spliced spliced = splice_on(worker, down_, *upstream_, *downstream_, remaining);
  down_.note_size(spliced.moved);
  worker.counters().spliced_bytes.add(spliced.moved);
  if (!tunnels) response_parser_.note_taken(before - remaining);
  response_side_ = ResponseSide::sending;
  using Next = Spliced::Next;
  switch (spliced.next) {
    case Next::writable:
      if (tunnels)
        note_tunnel_progress(worker);
      else
        worker.wheel().disarm(timer_);  // it is the client's turn
      downstream_->wait_writable(worker);
      break;
    case Next::readable:
      give_back(worker, down_);
      receive_response(worker);
      break;
    case Next::done:
      give_back(worker, down_);
      upstream_->look_for_unread_bytes(worker);
      finish_response(worker);
      break;
    case Next::ended:
      give_back(worker, down_);
      on_upstream_closed(worker, core::Error::none);
      break;
    case Next::source_broken:
      give_back(worker, down_);
      on_upstream_closed(worker, core::Error::reset);
      break;
    case Next::sink_broken:
      discard_pipe(worker, down_);
      on_downstream_closed(worker);
      break;
  }
}

}  // namespace sluice::proxy
