// The request's way to the endpoint: a connection, the first flight (head and what there is of the
// body), then the body as it comes; and trying again where that does no harm.
#include "http/serializer.h"
#include "proxy/client_address.h"
#include "proxy/exchange/edits.h"
#include "proxy/exchange/encryption.h"
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/identity.h"
#include "proxy/proxy_header.h"

namespace sluice::proxy {

namespace {

using AddressText = std::array<char, core::SocketAddress::address_text_max>;

// Who the request came from: the client itself, or a peer that is trusted.
std::string_view peer_text(RequestContext& context, AddressText& memory) {
  if (context.trust == http::Trust::none) return context.client_text();
  const core::SocketAddress& peer = context.stream.connection().address();
  return {memory.data(), peer.format_address(memory.data())};
}

}  // namespace

namespace limits = core::limits;

// Everything that can be sent at once is put together once; a second try sends the same bytes.
void Exchange::build_first_flight(Station& station) {
  AddressText address;
  std::array<char, traceparent_bytes> trace;
  const bool begins_trace =
      config().tracing.begins == config::Tracing::Begins::traces &&
      stream().request().fields.find(http::FieldName::traceparent) == nullptr &&
      !edits(route().request_edits, "traceparent");
  if (begins_trace) {
    station.make_traceparent(trace);
    if (station.random.below(100) < config().tracing.sampled_percent) trace.back() = '1';
  }
  TargetMemory target;
  up_.is_bulk = true;
  BodyPart first = stream().first_part();
  first.trailers = passed_trailers(context_, first);
  call_.send_head(
      stream().head_area(), stream().request(),
      {.forwarding = {.form = route().forwarded,
                      .trust = context_.trust,
                      .peer = peer_text(context_, address),
                      .proto = is_encrypted(context_) ? "https" : "http",
                      .prefix = route().rewrite.strip_prefix},
       .default_host = attempt_.config().endpoints.front().authority,
       .host = host_for_endpoint(context_, attempt_.config()),
       .target = rewritten_target(context_, target),
       .request_id = record().request_id(),
       .traceparent =
           begins_trace ? std::string_view{trace.data(), trace.size()} : std::string_view{},
       .upgrade = protocol_,
       .via = route().via == config::RequestVia::none                 ? std::string_view{}
              : stream().request().version == http::Version::http_1_1 ? std::string_view{"1.1"}
                                                                      : std::string_view{"1.0"},
       .hops_left = hops_left_,
       .more = added_upstream(context_, station.added_fields)},
      first);
}

// The deadline begins.
void Exchange::note_request_received(Station& station) {
  if (record().received_at == core::Instant{}) record().received_at = station.now();
  if (attempt_.has_plan() && !stream().has_answer_begun() &&
      attempt_.patience().deadline > core::Duration{0})
    deadline_ = record().received_at + attempt_.patience().deadline;
}

// What goes out on a new try: the same bytes each time.
void Exchange::start_flight(Station& station) {
  if (attempt_.config().send_proxy == config::SendProxy::none) return;
  const core::SocketAddress here = stream().connection().channel().local_address(station).value_or(
      core::SocketAddress::of_unix_peer());
  call_.send_proxy_header(attempt_.config().send_proxy, context_.client, here);
}

void Exchange::on_connection(Station& station) {
  state_ = State::relaying;
  record().connected_at = record().sent_at = station.now();
  call_.expect_head();
  request_side_ = RequestSide::sending;
  send_upstream(station);
}

void Exchange::send_upstream(Station& station) {
  on_upstream_progress(station);
  if (const SendProgress progress = call_.flush(station); progress != SendProgress::waiting)
    on_upstream_sent(station, progress);
}

// An endpoint that does not read is one that does not answer.
void Exchange::on_upstream_progress(Station& station) {
  if (!stream().has_answer_begun()) arm(station, attempt_.patience().head);
  if (state_ == State::tunneling) note_tunnel_progress(station);
}

void Exchange::on_upstream_sent(Station& station, SendProgress progress) {
  if (state_ == State::tunneling) {
    on_relayed_up(station, progress);
    return;
  }
  SLUICE_ASSERT(state_ == State::relaying && request_side_ == RequestSide::sending);
  if (progress == SendProgress::broken) {
    // It may have answered before it closed: the receive that is armed tells.
    request_side_ = RequestSide::cut;
    call_.clear();
    if (!stream().has_answer_begun()) arm(station, attempt_.patience().head);
  } else if (stream().body_complete()) {
    request_side_ = RequestSide::done;
    record().sent_at = station.now();
    if (!stream().has_answer_begun())
      arm(station, attempt_.patience().head);
    else
      release_generation();
  } else {
    ask_for_body(station);
  }
}

void Exchange::ask_for_body(Station& station) {
  // The client waits for this before it sends (RFC 9110 10.1.1): token, limit and endpoint are all
  // well.
  if (stream().take_expectation() && record().body_bytes == 0 &&
      response_side_ == ResponseSide::waiting) {
    stream().send_continue();
    send_downstream(station);
    if (state_ != State::relaying) return;
  }
  request_side_ = RequestSide::receiving;
  pace_.begin_waiting(station.now());
  if (!stream().has_answer_begun()) station.wheel().disarm(timer_);  // it is the client's turn
  expect_of_client(station, station.config().timeouts.body);
  if (may_splice_up())
    stream().http1().channel().wait_readable(station);
  else
    stream().receive_body(station);
}

void Exchange::receive_request(Station& station) {
  if (state_ == State::tunneling)
    receive_from_client(station);
  else
    ask_for_body(station);
}

bool Exchange::is_body_too_slow(Station& station, uint64_t bytes) {
  return pace_.is_too_slow(station.now(), bytes) &&
         stream().request().framing == http::Framing::length && !stream().body_complete();
}

void Exchange::on_downstream_bytes(Station& station, uint32_t size) {
  switch (state_) {
    case State::relaying: relay_request_body(station, size); break;
    case State::tunneling: relay_up(station, size); break;
    case State::replying:
    case State::discarding: discard(station, size); break;
    case State::ending: break;  // the connection lingers next
    default: SLUICE_UNREACHABLE();
  }
}

void Exchange::relay_request_body(Station& station, uint32_t size) {
  BodyPart part = stream().on_body(size);
  record().body_bytes += part.bytes.size();
  http::Rule rule = part.rule;
  if (rule == http::Rule::none && admission_.body_max() != 0 &&
      record().body_bytes > admission_.body_max())
    rule = http::Rule::body_too_large;
  if (rule != http::Rule::none) {
    if (stream().has_answer_begun()) {
      abort(station, rule);
    } else {
      drop_upstream(station);
      reply_error(station, http::status_of(rule), rule, http::Persistence::close);
    }
    return;
  }
  up_.note_size(size);
  if (is_body_too_slow(station, size)) {
    on_downstream_timeout(station);
    return;
  }
  if (part.complete) note_request_received(station);
  part.trailers = passed_trailers(context_, part);
  call_.send_body(stream().request().framing, part);
  if (call_.has_nothing_to_send()) {  // only framing came
    ask_for_body(station);
    return;
  }
  request_side_ = RequestSide::sending;
  send_upstream(station);
}

}  // namespace sluice::proxy
