// The response's way to the client: its head, parsed and written anew, then the body as it comes,
// one buffer at a time: nothing more is read from the endpoint before the client has taken what
// there is.
#include <charconv>
#include <cstring>

#include "http/hygiene.h"
#include "http/serializer.h"
#include "proxy/exchange/edits.h"
#include "proxy/exchange/exchange.h"

namespace sluice::proxy {

namespace limits = core::limits;

void Exchange::on_upstream_bytes(Station& station, core::Buffer buffer, uint32_t size) {
  SLUICE_ASSERT(state_ == State::relaying || state_ == State::tunneling);
  call_.on_bytes(buffer, size);
  if (state_ == State::tunneling) {
    relay_down(station, size);
    return;
  }
  if (stream().has_answer_begun()) {
    relay_response_body(station, size);
    return;
  }
  response_side_ = ResponseSide::head;
  read_response_head(station);
}

void Exchange::read_response_head(Station& station) {
  using Read = Http1Request::Read;
  const Read read = call_.read_head(stream().request().method);
  if (read == Read::incomplete) {
    call_.receive_head(station);
    return;
  }
  const uint16_t status = call_.response().status;
  if (read == Read::malformed || (status == 101 && !is_agreement())) {
    fail_as_malformed(station);
  } else if (status == 101) {
    start_tunnel(station);
  } else if (status < 200) {
    on_informational(station);
  } else {
    start_response(station);
  }
}

// RFC 9110 6.6.1; not where the route says what becomes of it.
bool Exchange::lacks_date() const {
  return call_.response().fields.find(http::FieldName::date) == nullptr &&
         !edits(route().response_edits, "Date");
}

void Exchange::note_repairs(Station& station) {
  if (const uint32_t repairs = call_.take_repairs(); repairs > 0)
    station.counters.endpoint_repairs.add(repairs);
}

void Exchange::fail_as_malformed(Station& station) {
  judge_endpoint(station, Outcome::failure);
  fail_try(station, 502, Failure::upstream_malformed, Again::never);
}

void Exchange::on_informational(Station& station) {
  if (!call_.count_informational()) {
    fail_as_malformed(station);
    return;
  }
  stream().send_informational(call_.head_area(), call_.response());
  call_.drop_informational();
  response_side_ = ResponseSide::informational;
  send_downstream(station);
}

void Exchange::start_response(Station& station) {
  http::ResponseHead& response = call_.response();
  const BodyPart first = call_.read_first_part(stream().request().version == http::Version::http_1_1
                                                   ? Http1Request::Trailers::keep
                                                   : Http1Request::Trailers::drop);
  if (first.rule != http::Rule::none) {
    fail_as_malformed(station);
    return;
  }
  judge_endpoint(station, response.status >= 500 ? Outcome::failure : Outcome::success);
  record().response_at = station.now();
  deadline_ = core::Instant::max();
  attempt_.upstream().duration.record(record().response_at - record().sent_at);
  record().status = response.status;
  limit_idle();
  if (station.is_draining()) stream().close_afterwards();
  http::drop_response_fields(response, stream().frame_answer(response.framing));
  edit_response(context_, response);
  note_repairs(station);
  TargetMemory place;
  const std::string_view location = mapped_location(context_, attempt_.config(), response, place);
  stream().send_head(call_.head_area(), response,
                     {.request_id = record().request_id(),
                      .date = lacks_date() ? station.http_date() : std::string_view{},
                      .more = added_downstream(context_, response, station.added_fields, location)},
                     first);
  if (request_side_ == RequestSide::done) release_generation();
  down_.is_bulk = true;
  response_side_ = ResponseSide::sending;
  send_downstream(station);
}

// How long the connection may be idle afterwards.
void Exchange::limit_idle() {
  UpstreamConnection& connection = call_.connection();
  if (const auto limit = call_.idle_limit()) connection.limit_idle(*limit);
  connection.limit_idle(attempt_.config().send_proxy == config::SendProxy::none
                            ? attempt_.patience().idle
                            : core::Duration{0});
}

void Exchange::relay_response_body(Station& station, uint32_t size) {
  const BodyPart part = call_.read_body(size);
  if (part.rule != http::Rule::none) {
    abort(station, Failure::upstream_malformed);
    return;
  }
  down_.note_size(size);
  stream().send_body(part);
  if (stream().has_nothing_to_send()) {
    if (part.complete) {
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
    call_.channel().wait_readable(station);
  } else {
    call_.receive_body(station);
  }
}

void Exchange::send_downstream(Station& station) {
  if (stream().has_answer_begun() && state_ != State::tunneling)
    station.wheel().disarm(timer_);  // it is the client's turn
  // One that is under way goes on with what was added.
  if (stream().is_flushing()) return;
  switch (stream().flush(station)) {
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
          if (call_.body_complete()) {
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
  if (stream().has_answer_begun()) {
    if (call_.ends_at_close() && error == core::Error::none) {
      end_response_at_close(station);
    } else {
      // An incomplete message is never made to look complete.
      abort(station, Failure::upstream_closed);
    }
  } else if (response_side_ == ResponseSide::waiting) {
    on_upstream_silent(station);
  } else {
    judge_endpoint(station, Outcome::failure);
    fail_try(station, 502, Failure::upstream_closed, Again::never);
  }
}

void Exchange::end_response_at_close(Station& station) {
  stream().send_body(call_.end_at_close());
  if (stream().has_nothing_to_send()) {
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
  if (call_.is_reusable() && request_side_ == RequestSide::done) {
    UpstreamConnection& connection = call_.connection();
    detach();
    connection.endpoint().upstream().release(station, connection);
  } else {
    drop_upstream(station);
  }
  after_answer(station);
}

}  // namespace sluice::proxy
