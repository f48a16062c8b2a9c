// A request as a client speaks HTTP/1.1, and the answer to it.
#include "proxy/http1_stream.h"

#include <cstring>
#include <utility>

#include "http/hygiene.h"

namespace sluice::proxy {

void Http1Stream::open(DownstreamConnection& connection, const Arrival& arrival) {
  connection_ = &connection;
  sent_before_ = connection.channel().bytes_sent();
  buffer_ = arrival.buffer;
  received_ = follow_begin_ = arrival.size;
}

// --- the request -----------------------------------------------------------------------------

http::Rule Http1Stream::read_head(const http::HeadScanner::Outcome& head) {
  char* bytes = memory();
  reading_ = Reading::refused;
  if (head.state == http::HeadScanner::Outcome::State::broken) return head.rule;
  if (const http::Rule rule =
          parser_.parse_request({bytes + head.begin, head.end - head.begin}, request_);
      rule != http::Rule::none)
    return rule;
  if (request_.framing == http::Framing::chunked && !request_.connection_names_fields)
    parser_.keep_trailers(chars_of(buffer_.trailer_area()));
  // What came with the head is taken apart where it lies.
  const http::BodyPiece piece =
      parser_.take_body({bytes + head.end, received_ - head.end}, bytes + head.end);
  if (piece.rule != http::Rule::none) return piece.rule;
  reading_ = Reading::understood;
  persistence_ = request_.persistence;
  head_end_ = head.end;
  payload_size_ = static_cast<uint32_t>(piece.produced);
  follow_begin_ = head.end + static_cast<uint32_t>(piece.consumed);
  return http::Rule::none;
}

// HEAD is answered without content (RFC 9110 9.3.2), even where the rest of its head was not
// understood or never came.
http::Method Http1Stream::method_to_answer() const {
  if (is_understood()) return request_.method;
  std::string_view begin{memory(), received_};
  if (begin.starts_with("\r\n")) begin.remove_prefix(2);
  return begin.starts_with("HEAD ") ? http::Method::head : http::Method::get;
}

void Http1Stream::receive_body(Station& station) {
  channel().receive(station, area().subspan(body_begin()));
}

BodyPart Http1Stream::on_body(uint32_t size) {
  char* bytes = memory() + body_begin();
  const http::BodyPiece piece = parser_.take_body({bytes, size}, bytes);
  follow_begin_ = body_begin() + static_cast<uint32_t>(piece.consumed);
  received_ = body_begin() + size;
  return {.bytes = area().subspan(body_begin(), piece.produced),
          .rule = piece.rule,
          .complete = piece.complete,
          .trailers = piece.complete ? parser_.trailers() : std::string_view{}};
}

bool Http1Stream::take_expectation() {
  return std::exchange(request_.expectation, http::Expectation::none) ==
         http::Expectation::continue_100;
}

// --- after a 101 -----------------------------------------------------------------------------

void Http1Stream::receive_raw(Station& station) {
  channel().receive(station, area().subspan(head_end_));
}

std::span<const std::byte> Http1Stream::raw(uint32_t size) const {
  return area().subspan(head_end_, size);
}

std::span<const std::byte> Http1Stream::take_ahead() {
  const uint32_t begin = std::exchange(follow_begin_, received_);
  return area().subspan(begin, received_ - begin);
}

// --- the answer ------------------------------------------------------------------------------

http::Framing Http1Stream::frame_answer(http::Framing framing) {
  framing_ = framing;
  if (framing == http::Framing::until_close || framing == http::Framing::chunked) {
    framing_ = request_.version == http::Version::http_1_1 ? http::Framing::chunked
                                                           : http::Framing::until_close;
  }
  if (framing_ == http::Framing::until_close) close_afterwards();
  return framing_;
}

// 100 is ours to send and has been sent; HTTP/1.0 knows no 1xx (RFC 9110 15.2).
void Http1Stream::send_informational(std::span<std::byte> memory, http::ResponseHead& response) {
  if (response.status == 100 || request_.version != http::Version::http_1_1) return;
  http::drop_response_fields(response, http::Framing::none);
  http::Writer writer{memory};
  http::write_informational_head(writer, response);
  out_.add(writer.written());
}

void Http1Stream::send_head(std::span<std::byte> memory, const http::ResponseHead& response,
                            const Fields& fields, const BodyPart& first) {
  answer_ = Answer::begun;
  http::Writer writer{memory};
  http::write_response_head(writer, response,
                            {.framing = framing_,
                             .persistence = persistence_,
                             .client_version = request_.version,
                             .request_id = fields.request_id,
                             .date = fields.date,
                             .more = fields.more});
  // A small body travels with its head.
  if (framing_ != http::Framing::chunked) {
    const std::string_view body = text_of(first.bytes);
    const bool is_small = body.size() <= writer.room();
    if (is_small) writer.put(body);
    out_.add(writer.written());
    if (!is_small) out_.add(first.bytes);
    return;
  }
  Outbox body;
  add_body(body, first);
  const bool is_small = body.size_bytes() <= writer.room();
  if (!is_small) out_.add(writer.written());
  for (; !body.empty(); body.advance(body.front().size())) {
    if (is_small)
      writer.put(text_of(body.front()));
    else
      out_.add(body.front());
  }
  if (is_small) out_.add(writer.written());
}

// Framed for the client, in place.
void Http1Stream::add_body(Outbox& outbox, const BodyPart& part) const {
  if (framing_ == http::Framing::chunked)
    add_chunk(outbox, part);
  else
    outbox.add(part.bytes);
}

void Http1Stream::send_switching(std::span<std::byte> memory, const http::ResponseHead& response,
                                 std::string_view protocol, const Fields& fields) {
  answer_ = Answer::begun;
  close_afterwards();
  http::Writer writer{memory};
  http::write_switching_head(writer, response, protocol, fields.request_id, fields.more);
  out_.add(writer.written());
}

void Http1Stream::send_reply(LocalReply& reply, const Fields& fields, uint64_t discard_max) {
  answer_ = Answer::begun;
  if (is_understood()) {
    // A client that waits for 100 (Continue) may send the body or not; only closing leaves no doubt
    // (RFC 9110 10.1.1).
    if (request_.expectation == http::Expectation::continue_100 && !parser_.body_complete())
      reply.persistence = http::Persistence::close;
    // More than would be thrown away: the connection closes, and the client may know it.
    if (parser_.remaining() > discard_max) reply.persistence = http::Persistence::close;
  }
  persistence_ = reply.persistence;
  const http::Method method = method_to_answer();
  // A place that the client itself named is as long as a target may be. Nothing of such a request
  // goes elsewhere, so that its buffer is free.
  const std::span<std::byte> memory =
      reply.location.empty() ? std::span<std::byte>{reply_} : buffer_.send_area();
  const size_t size = write_local_reply(memory, reply,
                                        {.method = method,
                                         .version = request_.version,
                                         .request_id = fields.request_id,
                                         .date = fields.date,
                                         .more = fields.more});
  out_.add(memory.first(size));
  if (method != http::Method::head) out_.add(bytes_of(reply.long_body));
}

// --- the end ---------------------------------------------------------------------------------

Http1Stream::Rest Http1Stream::rest() const {
  const bool received = is_understood() && parser_.body_complete();
  const bool stays = persistence_ == http::Persistence::keep_alive;
  if (received && stays) return Rest::next_request;
  if (received && follow_begin_ == received_) return Rest::close;
  return stays ? Rest::discard : Rest::linger;
}

void Http1Stream::finish(Station& station, Afterwards afterwards) {
  const uint32_t size = received_ - follow_begin_;
  switch (afterwards) {
    case Afterwards::keep_alive:
      if (size > 0) std::memmove(area().data(), area().data() + follow_begin_, size);
      connection_->next(station, buffer_, size);
      break;
    case Afterwards::linger: connection_->begin_linger(station, buffer_); break;
    case Afterwards::close: station.request_buffers.give_back(buffer_); break;
  }
}

void Http1Stream::on_connection_gone() {
  sent_before_ = bytes_sent();
  connection_ = nullptr;
}

}  // namespace sluice::proxy
