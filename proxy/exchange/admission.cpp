// The first part of an exchange: the head is read and judged, and it is decided where the request
// goes.
#include <charconv>

#include "http/hygiene.h"
#include "proxy/client_address.h"
#include "proxy/exchange/exchange.h"
#include "proxy/report.h"

namespace sluice::proxy {

namespace limits = core::limits;

namespace {

// Sluice needs nobody for the answer: there is a reserve for that.
bool answers_itself(config::RouteKind kind) {
  switch (kind) {
    case config::RouteKind::redirect:
    case config::RouteKind::respond:
    case config::RouteKind::health:
    case config::RouteKind::metrics: return true;
    default: return false;
  }
}

}  // namespace

std::string_view to_string(Exchange::State state) {
  using State = Exchange::State;
  switch (state) {
    case State::admitting: return "admitting";
    case State::checking_signature: return "checking_signature";
    case State::waiting_keys: return "waiting_keys";
    case State::asking_limit: return "asking_limit";
    case State::holding: return "holding";
    case State::working: return "working";
    case State::waiting_connection: return "waiting_connection";
    case State::connecting: return "connecting";
    case State::retrying: return "retrying";
    case State::relaying: return "relaying";
    case State::tunneling: return "tunneling";
    case State::replying: return "replying";
    case State::discarding: return "discarding";
    case State::ending: return "ending";
    case State::ended: return "ended";
  }
  SLUICE_UNREACHABLE();
}

void Exchange::set_up(Station& station, core::Token timer, DownstreamConnection& downstream,
                      const Arrival& arrival) {
  downstream_ = &downstream;
  generation_ = station.generation;
  generation_->use();
  client_ = downstream.address();
  sent_before_ = downstream.channel().bytes_sent();
  share_ = downstream.share();
  if (share_ != nullptr) {
    ShareTable::join(*share_);
    ++share_->exchanges;
  }
  ++station.unanswered;
  request_buffer_ = arrival.buffer;
  received_ = arrival.size;
  started_at_ = arrival.since;
  head_at_ = station.now();
  message_.exchange = wish_.exchange = key_wait_.exchange = client_wait_.exchange = this;
  wish_.share = client_wait_.share = share_;
  timer_.bind(timer);
  station.make_request_id(made_id_);
  station.counters.exchanges.add();
}

void Exchange::begin(Station& station, core::Token timer, DownstreamConnection& downstream,
                     const Arrival& arrival) {
  set_up(station, timer, downstream, arrival);
  make_room(station);
  if (arrival.head.state == http::HeadScanner::Outcome::State::broken) {
    reply_error(station, http::status_of(arrival.head.rule), arrival.head.rule,
                http::Persistence::close);
  } else {
    on_head(station, arrival.head.begin, arrival.head.end);
  }
}

void Exchange::refuse_head(Station& station, core::Token timer, DownstreamConnection& downstream,
                           const Arrival& arrival, Failure why) {
  set_up(station, timer, downstream, arrival);
  if (why == Failure::head_timeout || why == Failure::head_shed)
    reply_error(station, 408, why, http::Persistence::close);
  else
    abort(station, why);
}

void Exchange::on_head(Station& station, uint32_t begin, uint32_t end) {
  const auto area = request_area();
  char* bytes = reinterpret_cast<char*>(area.data());
  head_end_ = end;
  follow_begin_ = received_;
  http::Rule rule = request_parser_.parse_request({bytes + begin, end - begin}, request_);
  if (rule == http::Rule::none) {
    if (request_.framing == http::Framing::chunked && !request_.connection_names_fields) {
      request_parser_.keep_trailers(chars_of(request_buffer_.trailer_area()));
    }
    // What came with the head is taken apart where it lies.
    const http::BodyPiece piece =
        request_parser_.take_body({bytes + end, received_ - end}, bytes + end);
    rule = piece.rule;
    payload_size_ = static_cast<uint32_t>(piece.produced);
    body_bytes_ = piece.produced;
    follow_begin_ = end + static_cast<uint32_t>(piece.consumed);
  }
  if (rule != http::Rule::none) {
    head_end_ = 0;  // not understood
    reply_error(station, http::status_of(rule), rule, http::Persistence::close);
    return;
  }
  if (request_parser_.body_complete()) received_at_ = station.now();
  persistence_ = request_.persistence;
  if (station.is_draining() ||
      downstream_->requests() >= station.config().bounds.requests_per_connection) {
    persistence_ = http::Persistence::close;
  }
  admit(station);
}

// The deadline begins.
void Exchange::note_request_received(Station& station) {
  if (received_at_ == core::Instant{}) received_at_ = station.now();
  if (plan_ != nullptr && !response_begun() && patience().deadline > core::Duration{0})
    deadline_ = received_at_ + patience().deadline;
}

// Route, limit, authenticate, limit: synchronous verdicts, but for limits that another core keeps.
void Exchange::admit(Station& station) {
  if (is_trusted(config(), client_)) {
    trust_ = http::Trust::peer;
    taken_id_ = http::read_request_id(request_.fields);
    client_ = client_address(config(), client_, request_.fields);
  }
  if (request_.method == http::Method::connect || request_.method == http::Method::trace) {
    refuse_method(station, config::method_bit(http::Method::connect) - 1);
    return;
  }
  if (answer_preflight(station)) return;
  const auto [found, rule] = choose_route(request_.method);
  if (rule != http::Rule::none) {
    reply_error(station, http::status_of(rule), rule, http::Persistence::close);
    return;
  }
  if (found.route == config::no_route) {
    if (found.methods != 0) {
      refuse_method(station, found.methods);
    } else {
      reply_error(station, 404, Failure::route_none);
    }
    return;
  }
  route_ = found.route;
  route_label_ = route().label;
  settle_path();
  if (route().underscores == http::Underscores::refuse &&
      http::find_underscored(request_.fields) != nullptr) {
    reply_error(station, 400, http::Rule::underscore);
    return;
  }
  if (!route().addresses.empty() && !admits_address()) {
    reply_error(station, 403, Failure::address_denied);
    return;
  }
  if (station.is_overloaded() && !answers_itself(route().kind)) {
    station.counters.overload_refused.add();
    reply(station, {.status = 503,
                    .reason = Failure::overload,
                    .persistence = persistence_,
                    .retry_after = std::chrono::seconds{1}});
    return;
  }
  body_max_ = route().body_bytes.value_or(config().bounds.request_body_bytes);
  if (body_max_ != 0 && std::max(request_.content_length, body_bytes_) > body_max_) {
    reply_error(station, 413, http::Rule::body_too_large, http::Persistence::close);
    return;
  }
  if (route().limits_before.empty()) {
    check_token(station);
  } else {
    check_limits(station, config::LimitStage::before_auth);
  }
}

void Exchange::refuse_method(Station& station, uint16_t allowed) {
  reply(station, {.status = 405,
                  .reason = Failure::method_not_allowed,
                  .persistence = persistence_,
                  .allowed_methods = allowed});
}

void Exchange::proceed(Station& station) {
  switch (route().kind) {
    case config::RouteKind::upstream:
      if (!count_hop(station)) break;
      protocol_ = choose_protocol();
      if (!protocol_.empty() && !has_room_for_tunnel(station)) {
        refuse_tunnel(station);
        break;
      }
      go_upstream(station);
      break;
    case config::RouteKind::redirect: redirect(station); break;
    case config::RouteKind::respond: {
      const config::Respond& with = route().respond;
      reply(station, {.status = with.status,
                      .persistence = persistence_,
                      .content_type = with.content_type,
                      .long_body = with.body});
      break;
    }
    case config::RouteKind::health:
      if (station.is_leaving()) {
        reply(station, {.status = 503,
                        .reason = Failure::drain,
                        .persistence = http::Persistence::close,
                        .retry_after = std::chrono::seconds{1}});
      } else {
        reply(station, {.persistence = persistence_, .body = "{\"status\":\"ok\"}\n"});
      }
      break;
    case config::RouteKind::metrics: submit_job(station, Job::render_metrics, 0); break;
    case config::RouteKind::demo_work: serve_demo_work(station); break;
  }
}

// ?ms=N, 0 to 1000.
void Exchange::serve_demo_work(Station& station) {
  uint32_t milliseconds = 0;
  constexpr std::string_view name = "ms=";
  const std::string_view query = request_.query;
  const char* end = query.data() + query.size();
  const bool named = query.substr(0, name.size()) == name;
  const auto parsed = std::from_chars(named ? query.data() + name.size() : end, end, milliseconds);
  if (!named || parsed.ec != std::errc{} || parsed.ptr != end || milliseconds > 1000) {
    reply_error(station, 400, Failure::bad_argument);
  } else {
    submit_job(station, Job::burn, milliseconds);
  }
}

void Exchange::submit_job(Station& station, Job job, uint32_t milliseconds) {
  message_.job = job;
  message_.milliseconds = milliseconds;
  message_.report = nullptr;
  if (!station.submit(message_)) {
    station.counters.offload_refused.add();
    reply(station, {.status = 503,
                    .reason = Failure::offload_busy,
                    .persistence = persistence_,
                    .retry_after = std::chrono::seconds{1}});
    return;
  }
  station.counters.offload_jobs.add();
  state_ = State::working;
  message_is_out_ = true;
  downstream_->channel().watch(station);
}

void Exchange::on_job_done(Station& station) {
  message_is_out_ = false;
  if (message_.job == Job::check_signature) {
    on_signature_checked(station);
    return;
  }
  report_ = message_.report;
  if (state_ != State::working) {
    end_if_quiet(station);
    return;
  }
  if (message_.job == Job::burn) {
    reply(station, {.persistence = persistence_, .body = "{\"worked\":true}\n"});
  } else if (report_ == nullptr) {
    reply(station, {.status = 503,
                    .reason = Failure::offload_busy,
                    .persistence = persistence_,
                    .retry_after = std::chrono::seconds{1}});
  } else {
    reply(station, {.persistence = persistence_,
                    .content_type = "text/plain; version=0.0.4; charset=utf-8",
                    .long_body = {report_->text.data(), report_->size}});
  }
}

}  // namespace sluice::proxy
