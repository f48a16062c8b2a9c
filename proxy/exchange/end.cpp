// How exchanges end: answers of our own, clients that go away, deadlines, and the one place where
// all of them finish.
#include <cstring>

#include "http/serializer.h"
#include "proxy/exchange/exchange.h"
#include "proxy/report.h"

namespace sluice::proxy {

// --- answers of our own ----------------------------------------------------------------------

void Exchange::reply_error(Station& station, uint16_t status, Reason reason,
                           http::Persistence persistence) {
  if (persistence == http::Persistence::close || persistence_ == http::Persistence::close)
    persistence_ = http::Persistence::close;
  reply(station, {.status = status, .reason = reason, .persistence = persistence_});
}

// HEAD is answered without content (RFC 9110 9.3.2), even where the rest of its head was not
// understood or never came.
http::Method Exchange::answered_method() const {
  if (head_end_ != 0) return request_.method;
  std::string_view begin{reinterpret_cast<const char*>(request_area().data()), received_};
  if (begin.starts_with("\r\n")) begin.remove_prefix(2);
  return begin.starts_with("HEAD ") ? http::Method::head : http::Method::get;
}

void Exchange::reply(Station& station, const LocalReply& local) {
  SLUICE_ASSERT(!response_begun());
  LocalReply answer = local;
  // A client that waits for 100 (Continue) may send the body or not; only closing leaves no doubt
  // (RFC 9110 10.1.1).
  if (request_.expectation == http::Expectation::continue_100 && head_end_ != 0 &&
      !request_parser_.body_complete()) {
    answer.persistence = http::Persistence::close;
  }
  // More than would be thrown away: the connection closes, and the client may know it.
  if (head_end_ != 0 && request_parser_.remaining() > station.config().bounds.discard_bytes)
    answer.persistence = http::Persistence::close;
  if (station.is_draining()) answer.persistence = http::Persistence::close;
  persistence_ = answer.persistence;
  answer.code = answer.reason.code(station.labels);
  note_answered(station);
  give_up_hold_place(station);
  give_up_place();
  state_ = State::replying;
  response_status_ = answer.status;
  reason_ = answer.reason;
  response_at_ = station.now();
  station.wheel().disarm(timer_);
  const std::span<const http::AddedField> more = added_to_reply(station.added_fields, answer);
  const http::Method method = answered_method();
  const size_t size = write_local_reply(reply_, answer,
                                        {.method = method,
                                         .version = request_.version,
                                         .request_id = request_id(),
                                         .date = station.http_date(),
                                         .more = more});
  to_downstream_.add({reply_.data(), size});
  if (method != http::Method::head) to_downstream_.add(bytes_of(answer.long_body));
  send_downstream(station);
}

// The answer is out. Whatever the client still sends of its request must be read, or the next one
// could not be found.
void Exchange::after_answer(Station& station) {
  if (station.is_draining() && reason_ != Failure::drain) station.counters.drain_finished.add();
  const bool understood = head_end_ != 0;
  const bool received = understood && request_parser_.body_complete();
  if (received && persistence_ == http::Persistence::keep_alive) {
    finish(station, Afterwards::keep_alive);
  } else if (received && follow_begin_ == received_) {
    finish(station, Afterwards::close);
  } else if (persistence_ == http::Persistence::close) {
    finish(station, Afterwards::linger);
  } else {
    note_answered(station);
    state_ = State::discarding;
    request_side_ = RequestSide::cut;
    phase_deadline_ = station.now() + station.config().timeouts.linger;
    station.wheel().arm(timer_, phase_deadline_);
    if (downstream_->channel().is_receiving())
      begin_waiting_for_client(station);
    else if (upstream_ == nullptr)
      discard(station, 0);
  }
}

// `size` bytes of the body came (or none yet) that nobody wants.
void Exchange::discard(Station& station, uint32_t size) {
  const uint32_t base = head_end_ + static_cast<uint32_t>(http::chunk_line_max);
  char* bytes = reinterpret_cast<char*>(request_area().data()) + base;
  const http::BodyPiece piece = request_parser_.take_body({bytes, size}, bytes);
  discarded_ += size;
  follow_begin_ = base + static_cast<uint32_t>(piece.consumed);
  received_ = base + size;
  if (state_ == State::replying)
    return;  // the answer comes first; after_answer() goes on from here
  if (piece.complete && persistence_ == http::Persistence::keep_alive) {
    finish(station, Afterwards::keep_alive);
  } else if (persistence_ == http::Persistence::close || piece.rule != http::Rule::none ||
             discarded_ > station.config().bounds.discard_bytes) {
    finish(station, Afterwards::linger);
  } else if (upstream_ == nullptr) {
    receive_downstream(station, request_area().subspan(base), station.config().timeouts.linger);
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
  if (downstream_->channel().is_sending()) {
    abort(station, Failure::write_timeout);
  } else if (state_ == State::relaying && request_side_ == RequestSide::receiving) {
    if (response_begun()) {
      abort(station, Failure::body_timeout);
    } else {
      drop_upstream(station);
      reply_error(station, 408, Failure::body_timeout, http::Persistence::close);
    }
  } else if (state_ == State::discarding) {
    finish(station, Afterwards::linger);
  }
}

void Exchange::on_timer(Station& station) {
  const bool past_deadline = station.now() >= deadline_;
  switch (state_) {
    case State::holding:
      give_up_hold_place(station);
      state_ = State::admitting;
      admitted_at_ = station.now();
      proceed(station);
      break;
    case State::waiting_connection:
      plan_->upstream().withdraw(wish_);
      if (past_deadline)
        reply_error(station, 504, Failure::deadline, persistence_);
      else
        refuse_upstream(station, CoreUpstream::Acquired::busy);
      break;
    case State::connecting:
      judge_endpoint(station, Outcome::failure);
      fail_try(station, 504, past_deadline ? Failure::deadline : Failure::upstream_connect_timeout,
               TryAgain::if_allowed);
      break;
    case State::relaying:
      if (response_begun()) {
        abort(station, Failure::upstream_body_timeout);
      } else {
        judge_endpoint(station, Outcome::failure);
        const bool may_try = response_side_ == ResponseSide::waiting && may_be_replayed();
        fail_try(station, 504, past_deadline ? Failure::deadline : Failure::upstream_head_timeout,
                 may_try ? TryAgain::if_allowed : TryAgain::never);
      }
      break;
    case State::tunneling: abort(station, Failure::tunnel_idle); break;
    case State::discarding: finish(station, Afterwards::linger); break;
    case State::waiting_keys:
      CoreGeneration::stop_waiting_for_keys(key_wait_);
      apply_token(station);
      break;
    case State::admitting:
    case State::checking_signature:
    case State::asking_limit:
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
  if (queued) plan_->upstream().withdraw(wish_);
  if (state_ == State::waiting_keys) CoreGeneration::stop_waiting_for_keys(key_wait_);
  if (response_begun()) {
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
  if (state_ == State::waiting_connection) plan_->upstream().withdraw(wish_);
  if (state_ == State::waiting_keys) CoreGeneration::stop_waiting_for_keys(key_wait_);
  give_up_hold_place(station);
  reason_ = reason;
  if (!response_begun()) response_status_ = 499;
  drop_upstream(station);
  if (response_begun() && response_framing_ == http::Framing::until_close)
    downstream_->begin_close(station, Channel::Ending::reset);
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
  if (share_ != nullptr) --share_->exchanges;
  drop_upstream(station);
  // A receive into our buffer that is still armed is in the way of the next request.
  if (afterwards_ == Afterwards::keep_alive && downstream_->channel().is_receiving())
    afterwards_ = Afterwards::close;
  if (afterwards_ == Afterwards::close) downstream_->begin_close(station);
  end_if_quiet(station);
}

void Exchange::on_downstream_gone(Station& station) {
  bytes_out_ = downstream_->channel().bytes_sent() - sent_before_;
  downstream_ = nullptr;
  end_if_quiet(station);
}

// The one place where an exchange goes: nothing in the kernel, in a mailbox or in the offload pool
// refers to it.
void Exchange::end_if_quiet(Station& station) {
  if (state_ != State::ending || upstream_ != nullptr || message_is_out_) return;
  if (!limits_.is_clear()) {
    limits_.begin_giving_back();
    if (!visit_owners(station)) return;
  }
  if (afterwards_ == Afterwards::close && downstream_ != nullptr) return;
  if (downstream_ != nullptr) bytes_out_ = downstream_->channel().bytes_sent() - sent_before_;
  record(station);

  release_generation();
  station.wheel().disarm(timer_);
  if (report_ != nullptr) report_->give_back();
  if (response_buffer_.is_held()) station.response_buffers.give_back(response_buffer_);
  DownstreamConnection* downstream = downstream_;
  core::Buffer buffer = request_buffer_;
  const uint32_t follow_size = received_ - follow_begin_;
  const Afterwards afterwards = afterwards_;
  if (afterwards == Afterwards::keep_alive && follow_size > 0) {
    std::byte* bytes = buffer.receive_area().data();
    std::memmove(bytes, bytes + follow_begin_, follow_size);
  }
  station.counters.exchanges.subtract();
  if (share_ != nullptr) station.addresses.leave(*share_);
  state_ = State::ended;
  station.ended.push_back(*this);

  switch (afterwards) {
    case Afterwards::keep_alive: downstream->next(station, buffer, follow_size); break;
    case Afterwards::linger: downstream->begin_linger(station, buffer); break;
    case Afterwards::close: station.request_buffers.give_back(buffer); break;
  }
}

void Exchange::record(Station& station) {
  const core::Instant end = station.now();
  const core::Duration latency = end - started_at_;
  const bool understood = head_end_ != 0;
  const http::Method method = understood ? request_.method : http::Method::other;
  Counters& counters = station.counters;
  const Labels& labels = station.labels;
  counters.requests.count({.route = route_label_,
                           .method = static_cast<uint8_t>(method),
                           .reason = reason_.number(),
                           .status = response_status_});
  counters.requests_total.add();
  counters.request_duration.record(latency);

  const auto between = [](core::Instant from, core::Instant to) {
    return from == core::Instant{} || to < from ? core::Duration{0} : to - from;
  };
  std::array<char, core::SocketAddress::address_text_max> client;
  station.log(
      {.request_id = request_id(),
       .method = understood ? request_.method_text : std::string_view{"-"},
       .path = understood ? request_.path : std::string_view{"-"},
       .status = response_status_,
       .reason = reason_.code(station.labels),
       .would_refuse = would_refuse_ != limiter::no_limit ? labels.limits.name(would_refuse_)
                                                          : std::string_view{},
       .route = labels.routes.name(route_label_),
       .endpoint = endpoint_label_ != NameTable::none ? labels.endpoints.name(endpoint_label_)
                                                      : std::string_view{},
       .client = {client.data(), client_.format_address(client.data())},
       .principal = attempt_.examined.principal.subject(),
       .bytes_in = body_bytes_,
       .bytes_out = bytes_out_,
       .core = station.index,
       .retries = retries_,
       .latency = latency,
       .read = head_at_ - started_at_,
       .limit = between(head_at_, admitted_at_),
       .connect = between(admitted_at_, connected_at_),
       .upstream = between(sent_at_, response_at_),
       .relay = between(response_at_, end)});
}

}  // namespace sluice::proxy
