// The request's way to the endpoint: a connection, the first flight (head and what there is of the
// body), then the body as it comes; and trying again where that does no harm.
#include "http/serializer.h"
#include "proxy/client_address.h"
#include "proxy/exchange/exchange.h"
#include "proxy/proxy_header.h"

namespace sluice::proxy {

namespace limits = core::limits;

// Everything that can be sent at once is put together once; a second try sends the same bytes.
void Exchange::build_first_flight(Station& station) {
  std::array<char, core::SocketAddress::address_text_max> address;
  std::array<char, traceparent_bytes> trace;
  const bool begins_trace = config().tracing.begins == config::Tracing::Begins::traces &&
                            request_.fields.find(http::FieldName::traceparent) == nullptr &&
                            !edits(route().request_edits, "traceparent");
  if (begins_trace) {
    station.make_traceparent(trace);
    if (station.random.below(100) < config().tracing.sampled_percent) trace.back() = '1';
  }
  const bool complete = request_parser_.body_complete();
  http::Writer writer{complete ? request_buffer_.send_area_behind(received_)
                               : request_buffer_.send_area()};
  std::array<char, limits::target_bytes_max + config::rewrite_bytes_max> target;
  const core::SocketAddress& peer = downstream_->address();
  http::write_request_head(
      writer, request_,
      {.forwarding = {.form = route().forwarded,
                      .trust = trust_,
                      .peer = {address.data(), peer.format_address(address.data())},
                      .prefix = route().rewrite.strip_prefix},
       .default_host = plan_->config().endpoints.front().authority,
       .host = host_for_endpoint(),
       .target = rewritten_target(target),
       .request_id = request_id(),
       .traceparent =
           begins_trace ? std::string_view{trace.data(), trace.size()} : std::string_view{},
       .upgrade = protocol_,
       .via = route().via == config::RequestVia::none       ? std::string_view{}
              : request_.version == http::Version::http_1_1 ? std::string_view{"1.1"}
                                                            : std::string_view{"1.0"},
       .hops_left = hops_left_,
       .more = added_upstream(station.added_fields)});

  up_.is_bulk = true;
  const bool chunked = request_.framing == http::Framing::chunked;
  const std::string_view payload{reinterpret_cast<const char*>(request_area().data()) + head_end_,
                                 payload_size_};
  if (chunked && !payload.empty()) {
    std::array<char, http::chunk_line_max> line;
    char* end = line.data() + line.size();
    const char* begin = http::write_chunk_line_before(end, payload_size_);
    writer.put({begin, static_cast<size_t>(end - begin)});
  }
  const std::string_view trailers = complete ? request_trailers() : std::string_view{};
  const http::ChunkEnd end = !trailers.empty() ? http::ChunkEnd::trailers
                             : complete        ? http::ChunkEnd::last
                                               : http::ChunkEnd::more;
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
    for (const std::string_view piece : {payload, tail, trailers, last_line})
      to_upstream_.add(bytes_of(piece));
  }
}

// What the caller may not say in a field it may not say in a trailer either.
std::string_view Exchange::request_trailers() {
  if (request_parser_.trailers().empty()) return {};
  for (const config::AuthConfig& entry : config().auth) {
    for (const config::ClaimField& ours : entry.claim_fields)
      request_parser_.drop_trailer(ours.name);
    request_parser_.drop_trailer(entry.payload_field);
    for (const auth::TokenSource& source : entry.sources) request_parser_.drop_trailer(source.name);
  }
  const config::HeaderEdits& edits = route().request_edits;
  for (const std::string& name : edits.remove) request_parser_.drop_trailer(name);
  for (const config::HeaderEdits::NamedValue& field : edits.set)
    request_parser_.drop_trailer(field.name);
  return request_parser_.trailers();
}

// What goes out on a new try: the same bytes each time.
void Exchange::start_flight(Station& station) {
  if (plan_->config().send_proxy == config::SendProxy::none) return;
  const core::SocketAddress here =
      downstream_->channel().local_address(station).value_or(core::SocketAddress::of_unix_peer());
  const size_t size = write_proxy_header(proxy_header_, plan_->config().send_proxy, client_, here);
  to_upstream_.add_front({proxy_header_.data(), size});
}

void Exchange::on_connection(Station& station) {
  state_ = State::relaying;
  connected_at_ = sent_at_ = station.now();
  response_scanner_.reset(http::HeadKind::response);
  request_side_ = RequestSide::sending;
  send_upstream(station);
}

void Exchange::send_upstream(Station& station) {
  on_upstream_progress(station);
  if (const SendProgress progress = upstream_->channel().send(station, to_upstream_);
      progress != SendProgress::waiting)
    on_upstream_sent(station, progress);
}

// An endpoint that does not read is one that does not answer.
void Exchange::on_upstream_progress(Station& station) {
  if (!response_begun()) arm(station, patience().head);
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
    to_upstream_.clear();
    if (!response_begun()) arm(station, patience().head);
  } else if (request_parser_.body_complete()) {
    request_side_ = RequestSide::done;
    sent_at_ = station.now();
    if (!response_begun())
      arm(station, patience().head);
    else
      release_generation();
  } else {
    ask_for_body(station);
  }
}

void Exchange::ask_for_body(Station& station) {
  // The client waits for this before it sends (RFC 9110 10.1.1): token, limit and endpoint are all
  // well.
  if (request_.expectation == http::Expectation::continue_100) {
    request_.expectation = http::Expectation::none;
    if (body_bytes_ == 0 && response_side_ == ResponseSide::waiting) {
      to_downstream_.add(bytes_of(http::continue_response));
      send_downstream(station);
      if (state_ != State::relaying) return;
    }
  }
  request_side_ = RequestSide::receiving;
  body_asked_at_ = station.now();
  if (!response_begun()) station.wheel().disarm(timer_);  // it is the client's turn
  if (may_splice_up()) {
    downstream_->expect_within(station, station.config().timeouts.body);
    begin_waiting_for_client(station);
    downstream_->channel().wait_readable(station);
  } else {
    receive_downstream(station, request_area().subspan(head_end_ + http::chunk_line_max),
                       station.config().timeouts.body);
  }
}

void Exchange::receive_request(Station& station) {
  if (state_ == State::tunneling)
    receive_from_client(station);
  else
    ask_for_body(station);
}

// A client that was waited for this long, and has sent next to nothing in all that time.
bool Exchange::is_body_too_slow(Station& station, uint64_t bytes) {
  body_wait_ += station.now() - body_asked_at_;
  body_wait_bytes_ += bytes;
  if (body_wait_ < body_window) return false;
  const bool is_slow = request_.framing == http::Framing::length &&
                       body_wait_bytes_ < body_bytes_per_window_min &&
                       !request_parser_.body_complete();
  body_wait_ = {};
  body_wait_bytes_ = 0;
  return is_slow;
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
  const uint32_t base = head_end_ + static_cast<uint32_t>(http::chunk_line_max);
  char* bytes = reinterpret_cast<char*>(request_area().data()) + base;
  const http::BodyPiece piece = request_parser_.take_body({bytes, size}, bytes);
  body_bytes_ += piece.produced;
  http::Rule rule = piece.rule;
  if (rule == http::Rule::none && body_max_ != 0 && body_bytes_ > body_max_)
    rule = http::Rule::body_too_large;
  if (rule != http::Rule::none) {
    if (response_begun()) {
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
  follow_begin_ = base + static_cast<uint32_t>(piece.consumed);
  received_ = base + size;
  if (piece.complete) note_request_received(station);
  if (request_.framing == http::Framing::chunked) {
    add_chunk(to_upstream_, reinterpret_cast<std::byte*>(bytes), piece.produced, piece.complete,
              piece.complete ? request_trailers() : std::string_view{});
  } else {
    to_upstream_.add(std::as_bytes(std::span{bytes, piece.produced}));
  }
  if (to_upstream_.empty()) {  // only framing came
    ask_for_body(station);
    return;
  }
  request_side_ = RequestSide::sending;
  send_upstream(station);
}

}  // namespace sluice::proxy
