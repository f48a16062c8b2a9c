// The request's way to the endpoint: a connection, the first flight (head and what there is of the body), then the body
// as it comes; and trying again where that does no harm.
#include "http/serializer.h"
#include "proxy/client_address.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

namespace sluice::proxy {

bool Exchange::may_be_replayed() const { return http::is_idempotent(request_.method) && !first_flight_.empty(); }

void Exchange::arm(Worker& worker, core::Duration phase) {
  phase_deadline_ = worker.now() + phase;
  worker.wheel().arm(timer_, std::min(phase_deadline_, deadline_));
}

void Exchange::acquire_connection(Worker& worker, Freshness freshness) {
  downstream_->watch(worker);
  switch (worker.pool().acquire(worker, *this, freshness)) {
    case UpstreamPool::Outcome::assigned: on_connection(worker); break;
    case UpstreamPool::Outcome::connecting:
      state_ = State::connecting;
      arm(worker, worker.config().timeouts.connect);
      break;
    case UpstreamPool::Outcome::queued:
      state_ = State::waiting_connection;
      if (worker.config().timeouts.deadline > core::Duration{0}) arm(worker, worker.config().timeouts.deadline);
      break;
    case UpstreamPool::Outcome::busy:
    case UpstreamPool::Outcome::failed:
      reply(worker, {.status = 503, .reason = Event::upstream_busy, .persistence = persistence_, .retry_after = std::chrono::seconds{1}});
      break;
  }
}

void Exchange::on_pool_ready(Worker& worker) { acquire_connection(worker, retries_ > 0 ? Freshness::fresh : Freshness::pooled_will_do); }

void Exchange::on_connect_failed(Worker& worker, core::Error error) {
  SLUICE_ASSERT(state_ == State::connecting);
  drop_upstream(worker);
  if (error == core::Error::timed_out) {
    reply_error(worker, 504, Event::upstream_connect_timeout, persistence_);
  } else {
    reply_error(worker, 502, Event::upstream_refused, persistence_);
  }
}

// Everything that can be sent at once is put together once; a second try sends the same bytes.
void Exchange::build_first_flight(Worker& worker) {
  std::array<char, core::SocketAddress::address_text_max> address;
  std::array<char, traceparent_bytes> trace;
  const bool has_trace = request_.fields.find(http::FieldName::traceparent) != nullptr;
  if (!has_trace) worker.make_traceparent(trace);
  http::Writer writer{request_buffer_.send_area()};
  std::array<http::AddedField, auth::claims_max + 1> added;
  const core::SocketAddress& peer = downstream_->address();
  http::write_request_head(
      writer, request_,
      {.client_address = {address.data(), peer.format_address(address.data())},
       .forwarded_for = is_trusted(worker.config().trusted, peer) ? http::ForwardedFor::append : http::ForwardedFor::replace,
       .host = worker.config().upstream.authority,
       .request_id = {request_id_.data(), request_id_.size()},
       .traceparent = has_trace ? std::string_view{} : std::string_view{trace.data(), trace.size()},
       .upgrade = protocol_,
       .more = identity(worker, added)});

  up_.is_bulk = true;
  const bool complete = request_parser_.body_complete();
  const bool chunked = request_.framing == http::Framing::chunked;
  const std::string_view payload{reinterpret_cast<const char*>(request_area().data()) + head_end_, payload_size_};
  if (chunked && !payload.empty()) {
    std::array<char, http::chunk_line_max> line;
    char* end = line.data() + line.size();
    const char* begin = http::write_chunk_line_before(end, payload_size_);
    writer.put({begin, static_cast<size_t>(end - begin)});
  }
  const std::string_view trailers = complete ? request_trailers(worker) : std::string_view{};
  const http::ChunkEnd end = !trailers.empty() ? http::ChunkEnd::trailers : complete ? http::ChunkEnd::last : http::ChunkEnd::more;
  const std::string_view tail = !chunked                      ? std::string_view{}
                                : !payload.empty()            ? http::end_of_chunk(end)
                                : end == http::ChunkEnd::more ? std::string_view{}
                                : end == http::ChunkEnd::last ? http::last_chunk
                                                              : http::last_chunk_before_trailers;
  const std::string_view last_line = trailers.empty() ? "" : "\r\n";
  if (payload.size() + tail.size() + trailers.size() + last_line.size() <= writer.room()) {
    writer.put(payload).put(tail).put(trailers).put(last_line);
    if (complete) first_flight_ = writer.written();
    to_upstream_.add(writer.written());
  } else {
    to_upstream_.add(writer.written());
    for (const std::string_view piece : {payload, tail, trailers, last_line}) to_upstream_.add(bytes_of(piece));
  }
}

// What the caller may not say in a field it may not say in a trailer either.
std::string_view Exchange::request_trailers(Worker& worker) {
  if (request_parser_.trailers().empty()) return {};
  for (const AuthConfig& entry : worker.config().auth) {
    for (const ClaimField& ours : entry.claim_fields) request_parser_.drop_trailer(ours.name);
    request_parser_.drop_trailer(entry.payload_field);
    for (const auth::TokenSource& source : entry.sources) request_parser_.drop_trailer(source.name);
  }
  return request_parser_.trailers();
}

void Exchange::on_connection(Worker& worker) {
  state_ = State::relaying;
  connected_at_ = sent_at_ = worker.now();
  response_scanner_.reset(http::HeadKind::response);
  request_side_ = RequestSide::sending;
  send_upstream(worker);
}

void Exchange::send_upstream(Worker& worker) {
  on_upstream_progress(worker);
  if (const SendProgress progress = upstream_->send(worker, to_upstream_); progress != SendProgress::waiting)
    on_upstream_sent(worker, progress);
}

// An endpoint that does not read is one that does not answer.
void Exchange::on_upstream_progress(Worker& worker) {
  if (!response_begun()) arm(worker, worker.config().timeouts.upstream_head);
  if (state_ == State::tunneling) note_tunnel_progress(worker);
}

void Exchange::on_upstream_sent(Worker& worker, SendProgress progress) {
  if (state_ == State::tunneling) {
    on_relayed_up(worker, progress);
    return;
  }
  SLUICE_ASSERT(state_ == State::relaying && request_side_ == RequestSide::sending);
  if (progress == SendProgress::broken) {
    // It may have answered before it closed: the receive that is armed tells.
    request_side_ = RequestSide::cut;
    to_upstream_.clear();
    arm(worker, worker.config().timeouts.upstream_head);
  } else if (request_parser_.body_complete()) {
    request_side_ = RequestSide::done;
    sent_at_ = worker.now();
    if (!response_begun()) arm(worker, worker.config().timeouts.upstream_head);
  } else {
    ask_for_body(worker);
  }
}

void Exchange::ask_for_body(Worker& worker) {
  // The client waits for this before it sends (RFC 9110 10.1.1): token, limit and endpoint are all well.
  if (request_.expectation == http::Expectation::continue_100) {
    request_.expectation = http::Expectation::none;
    if (body_bytes_ == 0 && response_side_ == ResponseSide::waiting) {
      to_downstream_.add(bytes_of(http::continue_response));
      send_downstream(worker);
      if (state_ != State::relaying) return;
    }
  }
  request_side_ = RequestSide::receiving;
  body_asked_at_ = worker.now();
  if (!response_begun()) worker.wheel().disarm(timer_);  // it is the client's turn
  if (may_splice_up()) {
    downstream_->wait_readable(worker, worker.config().timeouts.body);
  } else {
    downstream_->receive(worker, request_area().subspan(head_end_ + http::chunk_line_max), worker.config().timeouts.body);
  }
}

void Exchange::receive_request(Worker& worker) {
  if (state_ == State::tunneling)
    receive_from_client(worker);
  else
    ask_for_body(worker);
}

// A client that was waited for this long, and has sent next to nothing in all that time.
bool Exchange::is_body_too_slow(Worker& worker, uint64_t bytes) {
  body_wait_ += worker.now() - body_asked_at_;
  body_wait_bytes_ += bytes;
  if (body_wait_ < body_window) return false;
  const bool is_slow =
      request_.framing == http::Framing::length && body_wait_bytes_ < body_bytes_per_window_min && !request_parser_.body_complete();
  body_wait_ = {};
  body_wait_bytes_ = 0;
  return is_slow;
}

void Exchange::on_downstream_bytes(Worker& worker, uint32_t size) {
  switch (state_) {
    case State::receiving_head:
      received_ += size;
      read_head(worker);
      break;
    case State::relaying: relay_request_body(worker, size); break;
    case State::tunneling: relay_up(worker, size); break;
    case State::replying:
    case State::discarding: discard(worker, size); break;
    default: SLUICE_UNREACHABLE();
  }
}

void Exchange::relay_request_body(Worker& worker, uint32_t size) {
  const uint32_t base = head_end_ + static_cast<uint32_t>(http::chunk_line_max);
  char* bytes = reinterpret_cast<char*>(request_area().data()) + base;
  const http::BodyPiece piece = request_parser_.take_body({bytes, size}, bytes);
  body_bytes_ += piece.produced;
  const uint64_t body_max = worker.config().bounds.request_body_bytes;
  http::Rule rule = piece.rule;
  if (rule == http::Rule::none && body_max != 0 && body_bytes_ > body_max) rule = http::Rule::body_too_large;
  if (rule != http::Rule::none) {
    if (response_begun()) {
      abort(worker, rule);
    } else {
      drop_upstream(worker);
      reply_error(worker, http::status_of(rule), rule, http::Persistence::close);
    }
    return;
  }
  up_.note_size(size);
  if (is_body_too_slow(worker, size)) {
    on_downstream_timeout(worker);
    return;
  }
  follow_begin_ = base + static_cast<uint32_t>(piece.consumed);
  received_ = base + size;
  if (piece.complete) note_request_received(worker);
  if (request_.framing == http::Framing::chunked) {
    add_chunk(to_upstream_, reinterpret_cast<std::byte*>(bytes), piece.produced, piece.complete,
              piece.complete ? request_trailers(worker) : std::string_view{});
  } else {
    to_upstream_.add(std::as_bytes(std::span{bytes, piece.produced}));
  }
  if (to_upstream_.empty()) {  // only framing came
    ask_for_body(worker);
    return;
  }
  request_side_ = RequestSide::sending;
  send_upstream(worker);
}

// The endpoint closed without a word, or spoke nonsense to nobody's harm.
void Exchange::try_again_or_fail(Worker& worker, Reason reason) {
  const bool nothing_written = upstream_->has_sent_nothing() && !first_flight_.empty();
  const bool was_pooled = upstream_->is_reused();
  if (was_pooled) worker.counters().upstream_stale.add();
  if ((may_be_replayed() || nothing_written) && retries_ < retries_max) {
    // Meeting a pooled connection that had just been closed is nobody's failure, and not for the budget to pay.
    if (was_pooled || worker.pool().may_retry(worker)) {
      ++retries_;
      worker.counters().retries.add();
      drop_upstream(worker);
      return;  // goes on in on_upstream_gone(), when nothing refers to the old try
    }
    worker.counters().retries_refused.add();
  }
  drop_upstream(worker);
  reply_error(worker, 502, reason, persistence_);
}

void Exchange::drop_upstream(Worker& worker) {
  if (upstream_ == nullptr) return;
  if (request_side_ != RequestSide::done) request_side_ = RequestSide::cut;
  worker.wheel().disarm(timer_);
  discard_pipes(worker);
  upstream_->begin_close(worker);
}

// The connection has let go of our buffers.
void Exchange::on_upstream_gone(Worker& worker) {
  upstream_ = nullptr;
  to_upstream_.clear();
  if (response_buffer_.is_held() && !response_begun()) worker.buffers(core::BufferGroup::upstream).give_back(response_buffer_);
  switch (state_) {
    case State::relaying:  // a second try
      request_side_ = RequestSide::waiting;
      response_side_ = ResponseSide::waiting;
      response_received_ = 0;
      to_upstream_.add(first_flight_);
      acquire_connection(worker, Freshness::fresh);
      break;
    case State::discarding:
      if (!downstream_->is_receiving()) discard(worker, 0);
      break;
    default: end_if_quiet(worker); break;
  }
}

}  // namespace sluice::proxy
