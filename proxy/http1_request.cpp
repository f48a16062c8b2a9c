// A request as an endpoint hears it, and the answer as it comes.
#include "proxy/http1_request.h"

#include <charconv>
#include <cstring>

namespace sluice::proxy {

// --- the request -----------------------------------------------------------------------------

void Http1Request::send_head(std::span<std::byte> memory, const http::RequestHead& request,
                             const http::RequestAdditions& additions, const BodyPart& first) {
  http::Writer writer{memory};
  http::write_request_head(writer, request, additions);
  const std::string_view payload = text_of(first.bytes);
  if (request.framing == http::Framing::chunked) {
    send_first_chunk(writer, first);
  } else if (payload.size() <= writer.room()) {
    writer.put(payload);
    if (first.complete) first_flight_ = writer.written();
    out_.add(writer.written());
  } else {
    out_.add(writer.written());
    out_.add(first.bytes);
  }
}

void Http1Request::send_first_chunk(http::Writer& writer, const BodyPart& first) {
  const std::string_view payload = text_of(first.bytes);
  if (!payload.empty()) {
    std::array<char, http::chunk_line_max> line;
    char* end = line.data() + line.size();
    const char* begin = http::write_chunk_line_before(end, static_cast<uint32_t>(payload.size()));
    writer.put({begin, static_cast<size_t>(end - begin)});
  }
  const http::ChunkEnd end = !first.trailers.empty() ? http::ChunkEnd::trailers
                             : first.complete        ? http::ChunkEnd::last
                                                     : http::ChunkEnd::more;
  const std::string_view tail = !payload.empty()              ? http::end_of_chunk(end)
                                : end == http::ChunkEnd::more ? std::string_view{}
                                : end == http::ChunkEnd::last ? http::last_chunk
                                                              : http::last_chunk_before_trailers;
  const std::string_view last_line = first.trailers.empty() ? "" : "\r\n";
  if (payload.size() + tail.size() + first.trailers.size() + last_line.size() <= writer.room()) {
    writer.put(payload).put(tail).put(first.trailers).put(last_line);
    if (first.complete) first_flight_ = writer.written();
    out_.add(writer.written());
  } else {
    out_.add(writer.written());
    for (const std::string_view piece : {payload, tail, first.trailers, last_line})
      out_.add(bytes_of(piece));
  }
}

void Http1Request::send_body(http::Framing framing, const BodyPart& part) {
  if (framing == http::Framing::chunked)
    add_chunk(out_, part);
  else
    out_.add(part.bytes);
}

void Http1Request::send_proxy_header(config::SendProxy form, const core::SocketAddress& client,
                                     const core::SocketAddress& here) {
  out_.add_front({proxy_header_.data(), write_proxy_header(proxy_header_, form, client, here)});
}

// --- the response ----------------------------------------------------------------------------

void Http1Request::forget_response(Station& station) {
  give_back(station);
  received_ = 0;
}

Http1Request::Read Http1Request::read_head(http::Method method) {
  using Scan = http::HeadScanner::Outcome::State;
  char* bytes = chars_of(buffer_.receive_area()).data();
  const auto outcome = scanner_.scan({bytes, received_});
  if (outcome.state == Scan::incomplete) return Read::incomplete;
  if (outcome.state != Scan::complete ||
      parser_.parse_response({bytes, outcome.end}, method, response_) != http::Rule::none)
    return Read::malformed;
  head_end_ = outcome.end;
  return Read::head;
}

void Http1Request::drop_informational() {
  std::byte* bytes = buffer_.receive_area().data();
  received_ -= head_end_;
  std::memmove(bytes, bytes + head_end_, received_);
  expect_head();
}

void Http1Request::receive_head(Station& station) {
  channel().receive(station, buffer_.receive_area().subspan(received_));
}

// Bytes beyond the response answer nothing that was asked: the connection serves no other.
BodyPart Http1Request::read_first_part(Trailers trailers) {
  if (response_.framing == http::Framing::chunked && trailers == Trailers::keep &&
      !response_.connection_names_fields)
    parser_.keep_trailers(chars_of(buffer_.trailer_area()));
  is_reusable_ = response_.persistence == http::Persistence::keep_alive;
  const auto bytes = buffer_.receive_area().subspan(head_end_, received_ - head_end_);
  const auto text = chars_of(bytes);
  const http::BodyPiece piece = parser_.take_body(text, text.data());
  if (piece.consumed < bytes.size()) is_reusable_ = false;
  return {.bytes = bytes.first(piece.produced),
          .rule = piece.rule,
          .complete = piece.complete,
          .trailers = parser_.trailers()};
}

BodyPart Http1Request::read_body(uint32_t size) {
  const auto bytes = buffer_.receive_area().first(size);
  const auto text = chars_of(bytes);
  const http::BodyPiece piece = parser_.take_body(text, text.data());
  if (piece.consumed < size) is_reusable_ = false;
  return {.bytes = bytes.first(piece.produced),
          .rule = piece.rule,
          .complete = piece.complete,
          .trailers = parser_.trailers()};
}

BodyPart Http1Request::end_at_close() {
  parser_.end_at_close();
  is_reusable_ = false;
  return {
      .bytes = buffer_.receive_area().first(0), .complete = true, .trailers = parser_.trailers()};
}

std::span<const std::byte> Http1Request::behind_head() const {
  return buffer_.receive_area().subspan(head_end_, received_ - head_end_);
}

std::optional<core::Duration> Http1Request::idle_limit() const {
  const http::Field* field = response_.fields.find(http::FieldName::keep_alive);
  if (field == nullptr) return std::nullopt;
  const std::string_view value = response_.fields.value(*field);
  constexpr std::string_view name = "timeout=";
  const auto at = value.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  uint32_t seconds = 0;
  const char* begin = value.data() + at + name.size();
  if (std::from_chars(begin, value.data() + value.size(), seconds).ec != std::errc{})
    return std::nullopt;
  return std::chrono::seconds{seconds > 0 ? seconds - 1 : 0};
}

}  // namespace sluice::proxy
