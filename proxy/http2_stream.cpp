// A request as a client speaks HTTP/2, and the answer to it.
#include "proxy/http2_stream.h"

#include <algorithm>
#include <utility>

#include "http/hygiene.h"
#include "proxy/grpc_reply.h"
#include "proxy/http2_connection.h"

namespace sluice::proxy {

namespace h2 = http::h2;

void Http2Stream::open(DownstreamConnection& connection, const Arrival& arrival, Exchange& exchange,
                       core::Token timer) {
  connection_ = &connection;
  note_.exchange = &exchange;
  stream_ = arrival.stream;
  stream_->owner = &note_;
  buffer_ = arrival.buffer;
  timer_.bind(timer);
}

// --- the request -----------------------------------------------------------------------------

http::Rule Http2Stream::read_head() {
  const h2::HeadRead read = session().read_request(*stream_, chars_of(area()), request_);
  if (read.rule != http::Rule::none) return read.rule;
  head_end_ = read.text_bytes;
  is_complete_ = request_.framing == http::Framing::none;
  if (has_body()) take_body();
  return http::Rule::none;
}

// Bytes of the body, or its end.
bool Http2Stream::has_body() const {
  return !is_complete_ && (stream_->body_bytes() > 0 || stream_->has_ended());
}

uint32_t Http2Stream::take_body() {
  size_ = static_cast<uint32_t>(session().read_body(*stream_, area().subspan(body_begin())));
  taken_ += size_;
  is_complete_ = request_.framing == http::Framing::length
                     ? taken_ == request_.content_length
                     : stream_->has_ended() && stream_->body_bytes() == 0;
  if (is_complete_) {
    const std::string_view lines = stream_->trailers();
    const std::span<char> kept = chars_of(buffer_.trailer_area());
    trailers_size_ = static_cast<uint32_t>(std::min(lines.size(), kept.size()));
    std::copy_n(lines.begin(), trailers_size_, kept.begin());
  }
  return size_;
}

BodyPart Http2Stream::part(uint32_t size) const {
  const std::span<char> trailers = chars_of(buffer_.trailer_area());
  return {.bytes = area().subspan(body_begin(), size),
          .complete = is_complete_,
          .trailers = is_complete_ ? std::string_view{trailers.data(), trailers_size_}
                                   : std::string_view{}};
}

std::string_view Http2Stream::drop_trailer(std::string_view name) {
  char* const begin = chars_of(buffer_.trailer_area()).data();
  char* out = begin;
  std::string_view rest{begin, trailers_size_};
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    rest.remove_prefix(line.size());
    if (http::equals_ignoring_case(line.substr(0, line.find(':')), name)) continue;
    out = std::copy(line.begin(), line.end(), out);
  }
  trailers_size_ = static_cast<uint32_t>(out - begin);
  return {begin, trailers_size_};
}

void Http2Stream::receive_body(Station& station) {
  wants_body_ = true;
  if (has_body() || is_complete_) http2().tell(station, note_);
}

bool Http2Stream::take_expectation() {
  return std::exchange(request_.expectation, http::Expectation::none) ==
         http::Expectation::continue_100;
}

// --- the answer ------------------------------------------------------------------------------

// Length or none as they are; a frame's flag is what ends everything else.
http::Framing Http2Stream::frame_answer(http::Framing framing) {
  framing_ = framing == http::Framing::until_close ? http::Framing::chunked : framing;
  return framing_;
}

void Http2Stream::send_continue() { session().inform(*stream_, http::continue_response); }

void Http2Stream::send_informational(std::span<std::byte> memory, http::ResponseHead& response) {
  if (response.status == 100) return;  // ours to send, and has been sent
  http::drop_response_fields(response, http::Framing::none);
  http::Writer writer{memory};
  http::write_informational_head(writer, response);
  session().inform(*stream_, text_of(writer.written()));
}

void Http2Stream::send_head(std::span<std::byte> memory, const http::ResponseHead& response,
                            const Fields& fields, const BodyPart& first) {
  http::Writer writer{memory};
  const bool is_framed = framing_ == http::Framing::chunked;
  http::write_response_head(writer, response,
                            {.framing = is_framed ? http::Framing::until_close : framing_,
                             .request_id = fields.request_id,
                             .date = fields.date,
                             .more = fields.more});
  const bool is_all = first.complete && first.bytes.empty() && first.trailers.empty();
  respond(text_of(writer.written()), is_all ? h2::Fin::last : h2::Fin::more);
  if (!is_all) send_body(first);
}

void Http2Stream::respond(std::string_view head, h2::Fin fin) {
  has_answer_begun_ = true;
  is_head_all_ = fin == h2::Fin::last;
  session().respond(*stream_, head, fin);
}

void Http2Stream::send_body(const BodyPart& part) {
  out_.add(part.bytes);
  if (!part.complete) return;
  end_is_due_ = true;
  trailers_out_ = part.trailers;
}

void Http2Stream::send_reply(LocalReply& reply, const Fields& fields) {
  const http::Method method = is_understood() ? request_.method : http::Method::get;
  const ReplyContext context{.method = method,
                             .version = http::Version::http_1_1,
                             .request_id = fields.request_id,
                             .date = fields.date,
                             .more = fields.more};
  if (reply.status >= 400 && is_understood() && speaks_grpc(request_)) {
    const size_t size = write_grpc_reply(reply_, reply, context);
    respond(text_of(std::span{reply_}.first(size)), h2::Fin::last);
    return;
  }
  // A place that the client itself named is as long as a target may be; see Http1Stream.
  const std::span<std::byte> memory =
      reply.location.empty() ? std::span<std::byte>{reply_} : buffer_.send_area();
  const std::span<std::byte> written = memory.first(write_local_reply(memory, reply, context));
  const size_t head_size = text_of(written).find("\r\n\r\n") + 4;
  const std::span<std::byte> body = written.subspan(head_size);
  const bool is_all = method == http::Method::head || (body.empty() && reply.long_body.empty());
  respond(text_of(written.first(head_size)), is_all ? h2::Fin::last : h2::Fin::more);
  if (is_all) return;
  out_.add(body);
  out_.add(bytes_of(reply.long_body));
  end_is_due_ = true;
}

SendProgress Http2Stream::flush(Station& station) {
  if (stream_->is_gone()) return SendProgress::broken;
  http2().wake(station);
  if (std::exchange(is_head_all_, false)) is_offering_ = true;
  if (!is_offering_ && has_nothing_to_send()) return SendProgress::done;
  if (!is_offering_) offer();
  expect_within(station, station.config().timeouts.write);
  return SendProgress::waiting;
}

// One piece at a time; the last with the end, where that is known.
void Http2Stream::offer() {
  const std::span<const std::byte> piece =
      out_.empty() ? std::span<const std::byte>{} : out_.front();
  const bool is_last = end_is_due_ && out_.size_bytes() == piece.size();
  is_offering_ = true;
  session().offer(*stream_, piece, is_last ? h2::Fin::last : h2::Fin::more,
                  is_last ? trailers_out_ : std::string_view{});
  if (!out_.empty()) out_.advance(piece.size());
  if (is_last) end_is_due_ = false;
}

// --- events ----------------------------------------------------------------------------------

DownstreamEvent Http2Stream::next() {
  using Kind = DownstreamEvent::Kind;
  if (stream_ == nullptr) return {};
  if (is_leaving_) {
    if (stream_->holds_bytes()) return {};
    is_leaving_ = false;
    return {.kind = Kind::gone};
  }
  if (std::exchange(note_.was_closed, false)) {
    note_.was_sent = wants_body_ = false;
    return {.kind = Kind::closed};
  }
  if (std::exchange(note_.was_sent, false)) {
    is_offering_ = false;
    if (has_nothing_to_send()) return {.kind = Kind::sent};
    offer();
  }
  if (wants_body_ && (has_body() || is_complete_)) {
    wants_body_ = false;
    return {.kind = Kind::bytes, .size = is_complete_ ? 0 : take_body()};
  }
  return {};
}

void Http2Stream::expect_within(Station& station, core::Duration timeout) {
  patience_ = timeout;
  sent_before_ = bytes_sent();
  station.wheel().arm(timer_, station.now() + timeout);
}

// A client that takes something, however slowly, is not one that takes nothing.
DownstreamEvent Http2Stream::on_timer(Station& station) {
  if (is_offering_ && bytes_sent() > sent_before_) {
    expect_within(station, patience_);
    return {};
  }
  return {.kind = DownstreamEvent::Kind::timeout};
}

// --- the end ---------------------------------------------------------------------------------

void Http2Stream::break_off(Station& station) {
  session().reset(*stream_, h2::ErrorCode::internal_error);
  note_.was_closed = false;
  is_leaving_ = true;
  http2().tell(station, note_);
}

void Http2Stream::finish(Station& station) {
  station.wheel().disarm(timer_);
  if (connection_ != nullptr) on_connection_gone(station);
  station.request_buffers.give_back(buffer_);
}

void Http2Stream::on_connection_gone(Station& station) {
  sent_ = bytes_sent();
  if (note_.is_linked()) core::IntrusiveList<StreamNote, StreamNoteTag>::remove(note_);
  session().release(*stream_);
  http2().wake(station);
  stream_ = nullptr;
  connection_ = nullptr;
}

}  // namespace sluice::proxy
