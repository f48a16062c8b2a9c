// How exchanges end: answers of our own, clients that go away, deadlines, and the one place where
// all of them finish.
#include <cstring>

#include "http/serializer.h"
#include "proxy/exchange/edits.h"
#include "proxy/exchange/exchange.h"
#include "proxy/report.h"

namespace sluice::proxy {

// --- answers of our own ----------------------------------------------------------------------

void Exchange::reply_error(Station& station, uint16_t status, Reason reason,
                           http::Persistence persistence) {
  if (persistence == http::Persistence::close) stream().close_afterwards();
  reply(station, {.status = status, .reason = reason, .persistence = stream().persistence()});
}

void Exchange::reply_busy(Station& station, Reason reason) {
  reply(station, {.status = 503,
                  .reason = reason,
                  .persistence = stream().persistence(),
                  .retry_after = std::chrono::seconds{1}});
}

void Exchange::reply(Station& station, const LocalReply& local) {
  SLUICE_ASSERT(!stream().has_answer_begun());
  LocalReply answer = local;
  if (station.is_draining()) answer.persistence = http::Persistence::close;
  answer.code = answer.reason.code(station.labels);
  if (answer.reason == http::Rule::body_too_large) answer.bytes_max = admission_.body_max();
  note_answered(station);
  admission_.stop(station);
  give_up_place();
  state_ = State::replying;
  record().status = answer.status;
  record().reason = answer.reason;
  record().response_at = station.now();
  station.wheel().disarm(timer_);
  stream().send_reply(answer,
                      {.request_id = record().request_id(),
                       .date = station.http_date(),
                       .more = added_to_reply(context_, station.added_fields, answer)},
                      station.config().bounds.discard_bytes);
  send_downstream(station);
}

// The answer is out. Whatever the client still sends of its request must be read, or the next one
// could not be found.
void Exchange::after_answer(Station& station) {
  if (station.is_draining() && record().reason != Failure::drain)
    station.counters.drain_finished.add();
  switch (stream().rest()) {
    case ClientStream::Rest::next_request: finish(station, Afterwards::keep_alive); break;
    case ClientStream::Rest::close: finish(station, Afterwards::close); break;
    case ClientStream::Rest::linger: finish(station, Afterwards::linger); break;
    case ClientStream::Rest::discard: begin_discarding(station); break;
  }
}

void Exchange::begin_discarding(Station& station) {
  note_answered(station);
  state_ = State::discarding;
  request_side_ = RequestSide::cut;
  phase_deadline_ = station.now() + station.config().timeouts.linger;
  station.wheel().arm(timer_, phase_deadline_);
  if (stream().is_receiving())
    begin_waiting_for_client(station);
  else if (!call_.has_connection())
    receive_to_discard(station);
}

void Exchange::receive_to_discard(Station& station) {
  expect_of_client(station, station.config().timeouts.linger);
  stream().receive_body(station);
}

// `size` bytes of the body came that nobody wants.
void Exchange::discard(Station& station, uint32_t size) {
  const BodyPart part = stream().on_body(size);
  discarded_ += size;
  if (state_ == State::replying)
    return;  // the answer comes first; after_answer() goes on from here
  if (part.complete && stream().persistence() == http::Persistence::keep_alive) {
    finish(station, Afterwards::keep_alive);
  } else if (stream().persistence() == http::Persistence::close || part.rule != http::Rule::none ||
             discarded_ > station.config().bounds.discard_bytes) {
    finish(station, Afterwards::linger);
  } else if (!call_.has_connection()) {
    receive_to_discard(station);
  }
}

// --- what goes wrong -------------------------------------------------------------------------

void Exchange::on_downstream_end(Station& station) {
  if (state_ == State::tunneling) {
    on_client_end(station);
  } else {
    on_downstream_closed(station);
  }
}

// A tunnel's FIN comes after bytes that are not read yet; whoever reads next finds out which of the
// two it is.
void Exchange::on_downstream_hangup(Station& station) {
  if (state_ != State::tunneling) on_downstream_closed(station);
}

void Exchange::on_downstream_closed(Station& station) {
  if (state_ == State::ending) return;
  if (state_ == State::discarding) {  // it has its answer
    finish(station, Afterwards::close);
    return;
  }
  abort(station, Failure::downstream_closed);
}

void Exchange::on_downstream_timeout(Station& station) {
  if (state_ == State::ending) return;
  if (stream().is_sending()) {
    abort(station, Failure::write_timeout);
  } else if (state_ == State::relaying && request_side_ == RequestSide::receiving) {
    if (stream().has_answer_begun()) {
      abort(station, Failure::body_timeout);
    } else {
      drop_upstream(station);
      reply_error(station, 408, Failure::body_timeout, http::Persistence::close);
    }
  } else if (state_ == State::discarding) {
    finish(station, Afterwards::linger);
  }
}

void Exchange::on_stream_timer(Station& station) {
  const DownstreamEvent event = stream().http2().on_timer(station);
  if (event.kind != DownstreamEvent::Kind::none) on_downstream(station, event);
}

void Exchange::on_timer(Station& station) {
  const bool past_deadline = station.now() >= deadline_;
  switch (state_) {
    case State::deciding:
      follow(station, admission_.on_deadline(station, context_, errand_));
      break;
    case State::waiting_connection:
      attempt_.stop_waiting();
      if (past_deadline)
        reply_error(station, 504, Failure::deadline, stream().persistence());
      else
        refuse_upstream(station, CoreUpstream::Acquired::busy);
      break;
    case State::connecting:
      judge_endpoint(station, Outcome::failure);
      fail_try(station, 504, past_deadline ? Failure::deadline : Failure::upstream_connect_timeout,
               Again::if_allowed);
      break;
    case State::relaying:
      if (stream().has_answer_begun()) {
        abort(station, Failure::upstream_body_timeout);
      } else {
        judge_endpoint(station, Outcome::failure);
        const bool may_try =
            response_side_ == ResponseSide::waiting && may_be_replayed(context_, call_);
        fail_try(station, 504, past_deadline ? Failure::deadline : Failure::upstream_head_timeout,
                 may_try ? Again::if_allowed : Again::never);
      }
      break;
    case State::tunneling: abort(station, Failure::tunnel_idle); break;
    case State::discarding: finish(station, Afterwards::linger); break;
    case State::working:
    case State::retrying:
    case State::replying:
    case State::ending:
    case State::ended: SLUICE_UNREACHABLE();
  }
}

void Exchange::on_cut(Station& station) {
  if (state_ == State::ending) return;
  station.counters.drain_cut.add();
  const bool queued = state_ == State::waiting_connection;
  if (queued) attempt_.stop_waiting();
  if (stream().has_answer_begun()) {
    abort(station, Failure::drain);
    return;
  }
  if (queued) state_ = State::connecting;  // it waits in no list any more
  drop_upstream(station);
  reply(station, {.status = 503,
                  .reason = Failure::drain,
                  .persistence = http::Persistence::close,
                  .retry_after = std::chrono::seconds{1}});
}

// No answer, or no whole one: the connection says so by closing.
void Exchange::abort(Station& station, Reason reason) {
  if (state_ == State::waiting_connection) attempt_.stop_waiting();
  admission_.stop(station);
  record().reason = reason;
  if (!stream().has_answer_begun()) record().status = 499;
  drop_upstream(station);
  if (stream().has_answer_begun() && !stream().is_http2() &&
      stream().http1().framing() == http::Framing::until_close)
    stream().break_off(station, Channel::Ending::reset);
  finish(station, Afterwards::close);
}

// --- the end ---------------------------------------------------------------------------------

void Exchange::finish(Station& station, Afterwards afterwards) {
  SLUICE_ASSERT(state_ != State::ending);
  if (state_ == State::tunneling) station.counters.tunnels_open.subtract();
  give_up_place();
  note_answered(station);
  state_ = State::ending;
  afterwards_ = afterwards;
  station.wheel().disarm(timer_);
  stop_waiting_for_client();
  if (context_.share != nullptr) --context_.share->exchanges;
  drop_upstream(station);
  // A receive into our buffer that is still armed is in the way of the next request.
  if (afterwards_ == Afterwards::keep_alive && stream().is_receiving())
    afterwards_ = Afterwards::close;
  if (afterwards_ == Afterwards::close) stream().break_off(station);
  end_if_quiet(station);
}

void Exchange::on_downstream_gone(Station& station) {
  stream().on_connection_gone(station);
  end_if_quiet(station);
}

// The one place where an exchange goes: nothing in the kernel, in a mailbox or in the offload pool
// refers to it.
void Exchange::end_if_quiet(Station& station) {
  if (state_ != State::ending || call_.has_connection() || errand_.is_out()) return;
  if (!admission_.has_given_back(station, errand_)) return;
  if (afterwards_ == Afterwards::close && stream().has_connection()) return;
  write_record(station);

  release_generation();
  station.wheel().disarm(timer_);
  errand_.give_back_report();
  call_.give_back(station);
  station.counters.exchanges.subtract();
  if (context_.share != nullptr) station.addresses.leave(*context_.share);
  state_ = State::ended;
  station.ended.push_back(*this);
  stream().finish(station, afterwards_);
}

void Exchange::write_record(Station& station) {
  Record::Subject subject{.client = context_.client_text(),
                          .principal = context_.token.examined.principal.subject(),
                          .protocol = stream().is_http2() ? "HTTP/2" : "HTTP/1.1",
                          .bytes_out = stream().bytes_sent()};
  if (stream().is_understood()) {
    subject.method = stream().request().method;
    subject.method_text = stream().request().method_text;
    subject.path = stream().request().path;
    if (stream().request().version == http::Version::http_1_0) subject.protocol = "HTTP/1.0";
  }
  record().write(station, subject);
}

}  // namespace sluice::proxy
