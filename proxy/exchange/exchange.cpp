// Who of an exchange's parts is next.
#include "proxy/exchange/exchange.h"

#include <charconv>

#include "proxy/exchange/edits.h"
#include "proxy/exchange/encryption.h"
#include "proxy/exchange/routing.h"

namespace sluice::proxy {

std::string_view to_string(Exchange::State state) {
  using State = Exchange::State;
  switch (state) {
    case State::deciding: return "deciding";
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

// --- the beginning ---------------------------------------------------------------------------

void Exchange::set_up(Station& station, core::Token timer, DownstreamConnection& downstream,
                      const Arrival& arrival) {
  context_.stream.open(
      downstream, arrival, *this,
      {static_cast<uint8_t>(Operation::stream_timer), timer.generation, timer.slot});
  context_.generation = station.generation;
  context_.generation->use();
  context_.client = downstream.address();
  context_.share = downstream.share();
  if (context_.share != nullptr) {
    ShareTable::join(*context_.share);
    ++context_.share->exchanges;
  }
  ++station.unanswered;
  context_.record.started_at = arrival.since;
  context_.record.head_at = station.now();
  errand_.bind(*this);
  admission_.bind(*this);
  attempt_.bind(*this, context_.share);
  client_wait_.exchange = this;
  client_wait_.share = context_.share;
  timer_.bind(timer);
  note_encryption(context_);
  station.make_request_id(context_.record.made_id);
  station.counters.exchanges.add();
}

void Exchange::begin(Station& station, core::Token timer, DownstreamConnection& downstream,
                     const Arrival& arrival) {
  set_up(station, timer, downstream, arrival);
  make_room(station);
  if (const http::Rule rule = stream().read_head(arrival.head); rule != http::Rule::none) {
    reply_error(station, http::status_of(rule), reason_of_broken_head(context_, arrival, rule),
                http::Persistence::close);
    return;
  }
  record().body_bytes = stream().first_part().bytes.size();
  if (stream().body_complete()) record().received_at = station.now();
  if (station.is_draining() ||
      downstream.requests() >= station.config().bounds.requests_per_connection)
    stream().close_afterwards();
  if (is_at_another_server(context_)) {
    reply_error(station, 421, Failure::tls_wrong_server);
    return;
  }
  if (is_to_be_redirected(context_)) {
    redirect_to_https(station);
    return;
  }
  follow(station, admission_.begin(station, context_, errand_));
}

void Exchange::redirect_to_https(Station& station) {
  TargetMemory memory;
  const std::string_view location = https_location(context_, memory);
  if (location.empty())
    reply_error(station, 400, http::Rule::host_missing, http::Persistence::close);
  else
    reply(station, {.status = 308, .persistence = stream().persistence(), .location = location});
}

void Exchange::refuse_head(Station& station, core::Token timer, DownstreamConnection& downstream,
                           const Arrival& arrival, Failure why) {
  set_up(station, timer, downstream, arrival);
  if (why == Failure::head_timeout || why == Failure::head_shed)
    reply_error(station, 408, why, http::Persistence::close);
  else
    abort(station, why);
}

// --- the decision ----------------------------------------------------------------------------

void Exchange::follow(Station& station, Admission::Verdict verdict) {
  switch (verdict) {
    case Admission::Verdict::admitted:
      record().admitted_at = station.now();
      proceed(station);
      break;
    case Admission::Verdict::refused: reply(station, admission_.answer()); break;
    case Admission::Verdict::waiting:
      stream().watch(station);
      if (const auto deadline = admission_.deadline()) station.wheel().arm(timer_, *deadline);
      break;
  }
}

void Exchange::on_keys(Station& station) {
  station.wheel().disarm(timer_);
  follow(station, admission_.on_keys(station, context_, errand_));
}

// The exchange may have ended meanwhile: then what was charged stays charged, what was set aside is
// given back.
void Exchange::on_limit_answer(Station& station) {
  errand_.come_back();
  admission_.absorb(errand_.message().visit);
  if (state_ == State::deciding)
    follow(station, admission_.on_limits(station, context_, errand_));
  else
    end_if_quiet(station);
}

void Exchange::on_job_done(Station& station) {
  errand_.come_back();
  const ExchangeMessage& message = errand_.message();
  if (message.job == Job::check_signature || message.job == Job::check_password) {
    context_.generation->note_signature_back(message.signature.generation);
    if (state_ == State::deciding)
      follow(station, admission_.on_signature(station, context_, errand_));
    else
      end_if_quiet(station);
    return;
  }
  if (state_ != State::working) {
    end_if_quiet(station);
  } else if (message.job == Job::burn) {
    reply(station, {.persistence = stream().persistence(), .body = "{\"worked\":true}\n"});
  } else if (const Report* report = errand_.report(); report != nullptr) {
    reply(station, {.persistence = stream().persistence(),
                    .content_type = "text/plain; version=0.0.4; charset=utf-8",
                    .long_body = {report->text.data(), report->size}});
  } else {
    reply_busy(station, Failure::offload_busy);
  }
}

void Exchange::proceed(Station& station) {
  switch (route().kind) {
    case config::RouteKind::upstream:
      if (!count_hop(station)) break;
      protocol_ = choose_protocol(context_);
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
                      .persistence = stream().persistence(),
                      .content_type = with.content_type,
                      .long_body = with.body});
      break;
    }
    case config::RouteKind::health:
      if (station.is_leaving()) {
        stream().close_afterwards();
        reply_busy(station, Failure::drain);
      } else {
        reply(station, {.persistence = stream().persistence(), .body = "{\"status\":\"ok\"}\n"});
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
  const std::string_view query = stream().request().query;
  const char* end = query.data() + query.size();
  const bool named = query.substr(0, name.size()) == name;
  const auto parsed = std::from_chars(named ? query.data() + name.size() : end, end, milliseconds);
  if (!named || parsed.ec != std::errc{} || parsed.ptr != end || milliseconds > 1000) {
    reply_error(station, 400, Failure::bad_argument);
  } else {
    submit_job(station, Job::burn, milliseconds);
  }
}

void Exchange::redirect(Station& station) {
  TargetMemory memory;
  reply(station, {.status = route().redirect.status,
                  .persistence = stream().persistence(),
                  .location = redirect_location(context_, memory)});
}

void Exchange::submit_job(Station& station, Job job, uint32_t milliseconds) {
  errand_.message().milliseconds = milliseconds;
  if (!errand_.submit(station, job)) {
    reply_busy(station, Failure::offload_busy);
    return;
  }
  state_ = State::working;
  stream().watch(station);
}

// Max-Forwards counts the hops of OPTIONS down (RFC 9110 7.6.2). False: this was the last one, and
// it is answered.
bool Exchange::count_hop(Station& station) {
  if (stream().request().method != http::Method::options) return true;
  std::optional<uint32_t> hops;
  for (const http::Field& field : stream().request().fields) {
    if (field.id != http::FieldName::max_forwards) continue;
    const std::string_view text = stream().request().fields.value(field);
    const bool is_number = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
      return c >= '0' && c <= '9';
    });
    if (hops || !is_number) {
      reply_error(station, 400, http::Rule::max_forwards);
      return false;
    }
    hops = 0;
    for (const char c : text)  // more than anybody counts is as good as that
      hops = std::min<uint32_t>(*hops * 10 + static_cast<uint32_t>(c - '0'), 100'000'000);
  }
  if (hops && *hops == 0) {
    reply(station, {.status = 204,
                    .persistence = stream().persistence(),
                    .allowed_methods = route().match.methods});
    return false;
  }
  if (hops) hops_left_ = *hops - 1;
  return true;
}

// --- what is heard ---------------------------------------------------------------------------

void Exchange::on_downstream(Station& station, const DownstreamEvent& event) {
  using Kind = DownstreamEvent::Kind;
  switch (event.kind) {
    case Kind::bytes:
      stop_waiting_for_client();
      on_downstream_bytes(station, event.size);
      break;
    case Kind::sent:
      stop_waiting_for_client();
      on_downstream_sent(station);
      break;
    case Kind::sending: begin_waiting_for_client(station); break;
    case Kind::readable:
      stop_waiting_for_client();
      on_downstream_readable(station);
      break;
    case Kind::writable:
      stop_waiting_for_client();
      on_downstream_writable(station);
      break;
    case Kind::end: on_downstream_end(station); break;
    case Kind::closed: on_downstream_closed(station); break;
    case Kind::hangup: on_downstream_hangup(station); break;
    case Kind::timeout: on_downstream_timeout(station); break;
    case Kind::gone: on_downstream_gone(station); break;
    case Kind::none:
    case Kind::head:
    case Kind::no_head:
    case Kind::streams: SLUICE_UNREACHABLE();
  }
}

// One thing after another, each of which may be the last.
void Exchange::on_stream(Station& station) {
  while (state_ != State::ended) {
    const DownstreamEvent event = stream().http2().next();
    if (event.kind == DownstreamEvent::Kind::none) return;
    on_downstream(station, event);
  }
}

void Exchange::on_upstream(Station& station, const ChannelEvent& event) {
  using Kind = ChannelEvent::Kind;
  switch (event.kind) {
    case Kind::connected: on_connection(station); break;
    case Kind::refused: on_connect_failed(station, event); break;
    case Kind::bytes: on_upstream_bytes(station, event.buffer, event.size); break;
    case Kind::end:
    case Kind::broken: on_upstream_closed(station, event.error); break;
    case Kind::sent: on_upstream_sent(station, SendProgress::done); break;
    case Kind::sending: on_upstream_progress(station); break;
    case Kind::unsent: on_upstream_sent(station, SendProgress::broken); break;
    case Kind::readable: on_upstream_readable(station); break;
    case Kind::writable: on_upstream_writable(station); break;
    case Kind::none:
    case Kind::hangup: SLUICE_UNREACHABLE();
  }
}

}  // namespace sluice::proxy
