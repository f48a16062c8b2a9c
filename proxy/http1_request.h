// One request and its response in HTTP/1.1, on a connection to an endpoint: what of the request is
// on its way, kept for another try; the buffer that the response is in, and its parser.
//
// The counterpart of Http1Stream on the other side: it says what HTTP/1.1 makes of things, and
// tells nobody anything. Part of an exchange.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "core/buffer_pool.h"
#include "http/head_scanner.h"
#include "http/parser.h"
#include "http/serializer.h"
#include "proxy/body_part.h"
#include "proxy/outbox.h"
#include "proxy/proxy_header.h"
#include "proxy/upstream/upstream_connection.h"

namespace sluice::proxy {

class Http1Request {
 public:
  // --- the connection ------------------------------------------------------------------------
  void attach(UpstreamConnection& connection) { connection_ = &connection; }
  // It may be lent to others from here on, or is gone.
  void detach() { connection_ = nullptr; }
  [[nodiscard]] bool has_connection() const { return connection_ != nullptr; }
  [[nodiscard]] UpstreamConnection& connection() const { return *connection_; }
  [[nodiscard]] Channel& channel() const { return connection_->channel(); }

  // --- the request ---------------------------------------------------------------------------
  // Into `memory`, which stays. What can be sent at once is put together once; where that is all
  // of the request, another try sends the same bytes.
  void send_head(std::span<std::byte> memory, const http::RequestHead& request,
                 const http::RequestAdditions& additions, const BodyPart& first);
  void send_body(http::Framing framing, const BodyPart& part);
  void send_raw(std::span<const std::byte> bytes) { out_.add(bytes); }
  // Who the connection is of, before everything else.
  void send_proxy_header(config::SendProxy form, const core::SocketAddress& client,
                         const core::SocketAddress& here);
  // All of the request is here still.
  [[nodiscard]] bool is_repeatable() const { return !first_flight_.empty(); }
  void repeat() { out_.add(first_flight_); }
  void clear() { out_.clear(); }
  [[nodiscard]] bool has_nothing_to_send() const { return out_.empty(); }
  [[nodiscard]] SendProgress flush(Station& station) { return channel().send(station, out_); }

  // --- the response --------------------------------------------------------------------------
  // What a look at the bytes that came brought.
  enum class Read : uint8_t { incomplete, malformed, head };
  void expect_head() { scanner_.reset(http::HeadKind::response); }
  // Nothing of it has come yet, on another connection.
  void forget_response(Station& station);
  void on_bytes(core::Buffer buffer, uint32_t size) {
    if (buffer.is_held()) {
      SLUICE_ASSERT(!buffer_.is_held());
      buffer_ = buffer;
      received_ = 0;
    }
    received_ += size;
  }
  [[nodiscard]] Read read_head(http::Method method);
  [[nodiscard]] http::ResponseHead& response() { return response_; }
  [[nodiscard]] const http::ResponseHead& response() const { return response_; }
  // It is a 1xx. False: that is one too many.
  [[nodiscard]] bool count_informational() {
    return ++informational_ <= core::limits::informational_responses_max;
  }
  // It has been passed on: what follows it is looked at next.
  void drop_informational();
  enum class Trailers : uint8_t { keep, drop };
  // What came of the body with the head.
  [[nodiscard]] BodyPart read_first_part(Trailers trailers);
  [[nodiscard]] BodyPart read_body(uint32_t size);
  // So many bytes of it went past us.
  void note_body_taken(uint64_t bytes) { parser_.note_taken(bytes); }
  [[nodiscard]] bool body_complete() const { return parser_.body_complete(); }
  [[nodiscard]] uint64_t body_remaining() const { return parser_.remaining(); }
  [[nodiscard]] bool ends_at_close() const { return parser_.ends_at_close(); }
  [[nodiscard]] BodyPart end_at_close();
  void receive_head(Station& station);
  void receive_body(Station& station) { channel().receive(station, buffer_.receive_area()); }
  // After a 101: what came with it, and what comes.
  [[nodiscard]] std::span<const std::byte> behind_head() const;
  [[nodiscard]] std::span<const std::byte> raw(uint32_t size) const {
    return buffer_.receive_area().first(size);
  }
  // Where a head for the client may be written: while the body comes, and when all of it is here.
  [[nodiscard]] std::span<std::byte> head_area() const {
    return parser_.body_complete() ? buffer_.send_area_behind(received_) : buffer_.send_area();
  }
  // Keep-Alive: timeout=, less one second, to be first.
  [[nodiscard]] std::optional<core::Duration> idle_limit() const;
  // Whether the connection may serve another request, now that this response is whole.
  [[nodiscard]] bool is_reusable() const { return is_reusable_ && !channel().has_unread_bytes(); }
  // Lines with blanks where none belong, since the last time.
  [[nodiscard]] uint32_t take_repairs() {
    const uint32_t repairs = parser_.repairs();
    return repairs - std::min(repairs, std::exchange(repairs_noted_, repairs));
  }

  void give_back(Station& station) {
    if (buffer_.is_held()) station.response_buffers.give_back(buffer_);
  }

 private:
  void send_first_chunk(http::Writer& writer, const BodyPart& first);

  UpstreamConnection* connection_ = nullptr;
  core::Buffer buffer_;    // of the response
  uint32_t received_ = 0;  // of its head, and what came with it
  uint32_t head_end_ = 0;
  uint32_t repairs_noted_ = 0;
  uint8_t informational_ = 0;
  bool is_reusable_ = false;
  http::HeadScanner scanner_;
  http::Parser parser_;
  http::ResponseHead response_;
  std::span<const std::byte> first_flight_;  // head and body as sent, if that is all
  Outbox out_;
  std::array<std::byte, proxy_header_out_bytes_max> proxy_header_;
};

}  // namespace sluice::proxy
