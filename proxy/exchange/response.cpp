// The response's way to the client: its head, parsed and written anew, then the body as it comes,
// one buffer at a time: nothing more is read from the endpoint before the client has taken what
// there is.
#include <charconv>
#include <cstring>

#include "http/hygiene.h"
#include "http/serializer.h"
#include "proxy/exchange/exchange.h"

namespace sluice::proxy {

namespace limits = core::limits;

namespace {

// Keep-Alive: timeout=5, of an endpoint that says how long it keeps idle connections; one second
// less, to be first.
std::optional<core::Duration> idle_limit_of(const http::Fields& fields) {
  const http::Field* field = fields.find(http::FieldName::keep_alive);
  if (field == nullptr) return std::nullopt;
  const std::string_view value = fields.value(*field);
  constexpr std::string_view name = "timeout=";
  const auto at = value.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  uint32_t seconds = 0;
  const char* begin = value.data() + at + name.size();
  if (std::from_chars(begin, value.data() + value.size(), seconds).ec != std::errc{})
    return std::nullopt;
  return std::chrono::seconds{seconds > 0 ? seconds - 1 : 0};
}

}  // namespace

void Exchange::on_upstream_bytes(Station& station, core::Buffer buffer, uint32_t size) {
  SLUICE_ASSERT(state_ == State::relaying || state_ == State::tunneling);
  if (buffer.is_held()) {
    SLUICE_ASSERT(!response_buffer_.is_held());
    response_buffer_ = buffer;
    response_received_ = 0;
  }
  if (state_ == State::tunneling) {
    relay_down(station, size);
    return;
  }
  if (response_begun()) {
    relay_response_body(station, size);
    return;
  }
  response_received_ += size;
  response_side_ = ResponseSide::head;
  read_response_head(station);
}

void Exchange::read_response_head(Station& station) {
  using Scan = http::HeadScanner::Outcome::State;
  const auto area = response_buffer_.receive_area();
  char* bytes = reinterpret_cast<char*>(area.data());
  const auto outcome = response_scanner_.scan({bytes, response_received_});
  if (outcome.state == Scan::incomplete) {
    upstream_->channel().receive(station, area.subspan(response_received_));
    return;
  }
  const bool parsed = outcome.state == Scan::complete &&
                      response_parser_.parse_response({bytes, outcome.end}, request_.method,
                                                      response_) == http::Rule::none;
  if (!parsed || (response_.status == 101 && !is_agreement())) {
    fail_as_malformed(station);
  } else if (response_.status == 101) {
    start_tunnel(station, outcome.end);
  } else if (response_.status < 200) {
    on_informational(station, outcome.end);
  } else {
    start_response(station, outcome.end);
  }
}

// RFC 9110 6.6.1; not where the route says what becomes of it.
bool Exchange::lacks_date() const {
  return response_.fields.find(http::FieldName::date) == nullptr &&
         !edits(route().response_edits, "Date");
}

// What there was since the last time.
void Exchange::note_repairs(Station& station) {
  const uint32_t repairs = response_parser_.repairs();
  if (repairs > repairs_noted_) station.counters.endpoint_repairs.add(repairs - repairs_noted_);
  repairs_noted_ = repairs;
}

void Exchange::fail_as_malformed(Station& station) {
  judge_endpoint(station, Outcome::failure);
  fail_try(station, 502, Failure::upstream_malformed, TryAgain::never);
}

void Exchange::on_informational(Station& station, uint32_t end) {
  if (++informational_ > limits::informational_responses_max) {
    fail_as_malformed(station);
    return;
  }
  // 100 is ours to send and has been sent; HTTP/1.0 knows no 1xx (RFC 9110 15.2).
  if (response_.status != 100 && request_.version == http::Version::http_1_1) {
    http::drop_response_fields(response_, http::Framing::none);
    http::Writer writer{response_buffer_.send_area()};
    http::write_informational_head(writer, response_);
    to_downstream_.add(writer.written());
  }
  std::byte* bytes = response_buffer_.receive_area().data();
  response_received_ -= end;
  std::memmove(bytes, bytes + end, response_received_);
  response_scanner_.reset(http::HeadKind::response);
  response_side_ = ResponseSide::informational;
  send_downstream(station);
}

void Exchange::start_response(Station& station, uint32_t head_end) {
  std::byte* payload = response_buffer_.receive_area().data() + head_end;
  const size_t available = response_received_ - head_end;
  if (response_.framing == http::Framing::chunked && request_.version == http::Version::http_1_1 &&
      !response_.connection_names_fields) {
    response_parser_.keep_trailers(chars_of(response_buffer_.trailer_area()));
  }
  const http::BodyPiece piece = response_parser_.take_body(
      {reinterpret_cast<char*>(payload), available}, reinterpret_cast<char*>(payload));
  if (piece.rule != http::Rule::none) {
    fail_as_malformed(station);
    return;
  }
  judge_endpoint(station, response_.status >= 500 ? Outcome::failure : Outcome::success);
  response_at_ = station.now();
  deadline_ = core::Instant::max();
  plan_->upstream().duration.record(response_at_ - sent_at_);
  response_status_ = response_.status;
  // Bytes beyond the response answer nothing that was asked.
  upstream_reusable_ =
      response_.persistence == http::Persistence::keep_alive && piece.consumed == available;
  if (const auto limit = idle_limit_of(response_.fields)) upstream_->limit_idle(*limit);
  upstream_->limit_idle(plan_->config().send_proxy == config::SendProxy::none ? patience().idle
                                                                              : core::Duration{0});

  response_framing_ = response_.framing;
  if (response_framing_ == http::Framing::until_close ||
      response_framing_ == http::Framing::chunked) {
    response_framing_ = request_.version == http::Version::http_1_1 ? http::Framing::chunked
                                                                    : http::Framing::until_close;
  }
  if (response_framing_ == http::Framing::until_close || station.is_draining())
    persistence_ = http::Persistence::close;
  http::drop_response_fields(response_, response_framing_);
  edit_response();
  note_repairs(station);
  std::array<char, limits::target_bytes_max + config::rewrite_bytes_max> place;
  const std::string_view location = mapped_location(place);
  http::Writer writer{piece.complete ? response_buffer_.send_area_behind(response_received_)
                                     : response_buffer_.send_area()};
  http::write_response_head(writer, response_,
                            {.framing = response_framing_,
                             .persistence = persistence_,
                             .client_version = request_.version,
                             .request_id = request_id(),
                             .date = lacks_date() ? station.http_date() : std::string_view{},
                             .more = added_downstream(station.added_fields, location)});
  if (request_side_ == RequestSide::done) release_generation();

  down_.is_bulk = true;
  // A small body travels with its head.
  Outbox body;
  add_response_payload(body, payload, piece.produced, piece.complete);
  if (body.size_bytes() <= writer.room()) {
    for (; !body.empty(); body.advance(body.front().size())) {
      writer.put({reinterpret_cast<const char*>(body.front().data()), body.front().size()});
    }
    to_downstream_.add(writer.written());
  } else {
    to_downstream_.add(writer.written());
    for (; !body.empty(); body.advance(body.front().size())) to_downstream_.add(body.front());
  }
  response_side_ = ResponseSide::sending;
  send_downstream(station);
}

// Framed for the client, in place: the bytes before the payload are the head's, which has been
// written by now, or the buffer's headroom.
void Exchange::add_response_payload(Outbox& outbox, std::byte* payload, size_t size,
                                    bool complete) {
  if (response_framing_ == http::Framing::chunked) {
    add_chunk(outbox, payload, size, complete, response_parser_.trailers());
  } else {
    outbox.add({payload, size});
  }
}

void Exchange::relay_response_body(Station& station, uint32_t size) {
  std::byte* payload = response_buffer_.receive_area().data();
  const http::BodyPiece piece = response_parser_.take_body({reinterpret_cast<char*>(payload), size},
                                                           reinterpret_cast<char*>(payload));
  if (piece.rule != http::Rule::none) {
    abort(station, Failure::upstream_malformed);
    return;
  }
  down_.note_size(size);
  if (piece.consumed < size) upstream_reusable_ = false;
  add_response_payload(to_downstream_, payload, piece.produced, piece.complete);
  if (to_downstream_.empty()) {
    if (piece.complete) {
      finish_response(station);
    } else {
      receive_response(station);
    }
    return;
  }
  response_side_ = ResponseSide::sending;
  send_downstream(station);
}

void Exchange::receive_response(Station& station) {
  response_side_ = ResponseSide::receiving;
  if (state_ == State::tunneling) {
    note_tunnel_progress(station);
  } else if (body_patience_ > core::Duration{0}) {
    arm(station, body_patience_);
  }
  if (may_splice_down()) {
    upstream_->channel().wait_readable(station);
  } else {
    upstream_->channel().receive(station, response_buffer_.receive_area());
  }
}

void Exchange::send_downstream(Station& station) {
  if (response_begun() && state_ != State::tunneling)
    station.wheel().disarm(timer_);  // it is the client's turn
  // One that is under way goes on with what was added.
  if (downstream_->channel().has_send_in_flight()) return;
  switch (downstream_->send(station, to_downstream_)) {
    case SendProgress::done: on_downstream_sent(station); break;
    case SendProgress::waiting: begin_waiting_for_client(station); break;
    case SendProgress::broken: on_downstream_closed(station); break;
  }
}

void Exchange::on_downstream_sent(Station& station) {
  switch (state_) {
    case State::replying: after_answer(station); break;
    case State::tunneling: receive_response(station); break;
    case State::relaying:
      switch (response_side_) {
        case ResponseSide::sending:
          if (response_parser_.body_complete()) {
            finish_response(station);
          } else {
            receive_response(station);
          }
          break;
        case ResponseSide::informational:
          response_side_ = ResponseSide::head;
          read_response_head(station);
          break;
        // Our own 100 (Continue) has left.
        case ResponseSide::waiting:
        case ResponseSide::head:
        case ResponseSide::receiving:
        case ResponseSide::done: break;
      }
      break;
    default: break;  // as above, while something else became of the exchange
  }
}

void Exchange::on_upstream_closed(Station& station, core::Error error) {
  if (state_ == State::tunneling) {
    if (error == core::Error::none) {
      on_endpoint_end(station);
    } else {
      abort(station, Failure::upstream_closed);
    }
    return;
  }
  SLUICE_ASSERT(state_ == State::relaying);
  if (response_begun()) {
    if (response_parser_.ends_at_close() && error == core::Error::none) {
      end_response_at_close(station);
    } else {
      // An incomplete message is never made to look complete.
      abort(station, Failure::upstream_closed);
    }
  } else if (response_side_ == ResponseSide::waiting) {
    on_upstream_silent(station);
  } else {
    judge_endpoint(station, Outcome::failure);
    fail_try(station, 502, Failure::upstream_closed, TryAgain::never);
  }
}

void Exchange::end_response_at_close(Station& station) {
  response_parser_.end_at_close();
  upstream_reusable_ = false;
  add_response_payload(to_downstream_, response_buffer_.receive_area().data(), 0, true);
  if (to_downstream_.empty()) {
    finish_response(station);
    return;
  }
  response_side_ = ResponseSide::sending;
  send_downstream(station);
}

// All of the answer is with the client. The request may not be: an early answer ends it.
void Exchange::finish_response(Station& station) {
  note_repairs(station);
  response_side_ = ResponseSide::done;
  station.wheel().disarm(timer_);
  give_up_place();
  if (upstream_reusable_ && request_side_ == RequestSide::done &&
      !upstream_->channel().has_unread_bytes()) {
    UpstreamConnection& connection = *upstream_;
    detach();
    connection.endpoint().upstream().release(station, connection);
  } else {
    drop_upstream(station);
  }
  after_answer(station);
}

}  // namespace sluice::proxy
