// One request and its answer in HTTP/2: the sibling of Http1Stream. The framing is the session's
// business; what is here is where the request's body lies, what of the answer is offered, and what
// the exchange is to hear.
//
// The buffer holds: [head as text][body bytes]; its send area is for the head that goes to the
// endpoint. Nothing is told from inside a call: what happened is noted, and told when the worker
// serves the connection (next()).
//
// Part of an exchange. The session's stream is given back in finish(), or when the connection goes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/buffer_pool.h"
#include "core/timer_wheel.h"
#include "http/h2/stream.h"
#include "http/serializer.h"
#include "proxy/body_part.h"
#include "proxy/downstream_connection.h"
#include "proxy/http1_stream.h"
#include "proxy/http2_connection.h"
#include "proxy/local_reply.h"
#include "proxy/outbox.h"

namespace sluice::proxy {

class Http2Stream {
 public:
  using Afterwards = DownstreamConnection::Afterwards;
  using Fields = Http1Stream::Fields;

  // `timer` is the token of its timer.
  void open(DownstreamConnection& connection, const Arrival& arrival, Exchange& exchange,
            core::Token timer);

  // --- the request ---------------------------------------------------------------------------
  [[nodiscard]] http::Rule read_head();
  [[nodiscard]] bool is_understood() const { return head_end_ != 0; }
  [[nodiscard]] http::RequestHead& request() { return request_; }
  [[nodiscard]] const http::RequestHead& request() const { return request_; }
  [[nodiscard]] char* memory() const { return chars_of(area()).data(); }
  [[nodiscard]] std::span<std::byte> head_area() const {
    return is_complete_ ? buffer_.send_area_behind(body_begin() + size_) : buffer_.send_area();
  }
  [[nodiscard]] BodyPart first_part() const { return part(size_); }
  [[nodiscard]] bool body_complete() const { return is_complete_; }
  [[nodiscard]] uint64_t body_remaining() const { return request_.content_length - taken_; }
  [[nodiscard]] std::string_view drop_trailer(std::string_view name);
  void receive_body(Station& station);
  [[nodiscard]] BodyPart on_body(uint32_t size) { return part(size); }
  [[nodiscard]] bool take_expectation();

  // --- the answer ----------------------------------------------------------------------------
  [[nodiscard]] http::Persistence persistence() const { return persistence_; }
  void close_afterwards() { persistence_ = http::Persistence::close; }
  [[nodiscard]] bool has_answer_begun() const { return has_answer_begun_; }
  [[nodiscard]] http::Framing frame_answer(http::Framing framing);
  [[nodiscard]] http::Framing framing() const { return framing_; }
  void send_continue();
  void send_informational(std::span<std::byte> memory, http::ResponseHead& response);
  void send_head(std::span<std::byte> memory, const http::ResponseHead& response,
                 const Fields& fields, const BodyPart& first);
  void send_body(const BodyPart& part);
  void send_reply(LocalReply& reply, const Fields& fields);
  [[nodiscard]] bool has_nothing_to_send() const { return out_.empty() && !end_is_due_; }
  [[nodiscard]] SendProgress flush(Station& station);
  [[nodiscard]] bool is_flushing() const { return is_offering_; }

  // --- the end -------------------------------------------------------------------------------
  void finish(Station& station);
  // RST_STREAM; `gone` is told when nothing refers to what was offered.
  void break_off(Station& station);
  void on_connection_gone(Station& station);

  // --- the connection ------------------------------------------------------------------------
  [[nodiscard]] bool has_connection() const { return connection_ != nullptr; }
  [[nodiscard]] DownstreamConnection& connection() const { return *connection_; }
  void expect_within(Station& station, core::Duration timeout);
  [[nodiscard]] uint64_t bytes_sent() const {
    return stream_ == nullptr ? sent_ : stream_->sent_bytes();
  }

  // --- events --------------------------------------------------------------------------------
  // What the exchange is to hear of next.
  [[nodiscard]] DownstreamEvent next();
  [[nodiscard]] DownstreamEvent on_timer(Station& station);

 private:
  [[nodiscard]] std::span<std::byte> area() const { return buffer_.receive_area(); }
  [[nodiscard]] uint32_t body_begin() const {
    return head_end_ + static_cast<uint32_t>(http::chunk_line_max);
  }
  [[nodiscard]] Http2Connection& http2() const { return *connection_->http2(); }
  [[nodiscard]] http::h2::ServerSession& session() const { return http2().session(); }
  [[nodiscard]] BodyPart part(uint32_t size) const;
  [[nodiscard]] bool has_body() const;
  uint32_t take_body();
  void respond(std::string_view head, http::h2::Fin fin);
  void offer();
  void give_back();

  DownstreamConnection* connection_ = nullptr;
  http::h2::Stream* stream_ = nullptr;
  StreamNote note_;  // of what is to be told
  core::Buffer buffer_;
  core::Timer timer_;
  bool is_complete_ = false;  // all of the body has been read
  bool wants_body_ = false;   // the exchange waits for it
  bool has_answer_begun_ = false;
  bool is_offering_ = false;  // the session has something of ours, or our end
  bool is_head_all_ = false;  // the head that was handed over has our end
  bool end_is_due_ = false;   // the end is to be offered
  bool is_leaving_ = false;   // `gone` is to be told
  http::Persistence persistence_ = http::Persistence::keep_alive;
  http::Framing framing_ = http::Framing::none;
  uint32_t head_end_ = 0;
  uint32_t size_ = 0;  // of the part of the body that was read last
  uint32_t trailers_size_ = 0;
  uint64_t taken_ = 0;
  uint64_t sent_ = 0;         // once the stream is gone
  uint64_t sent_before_ = 0;  // when the timer was armed
  core::Duration patience_{};
  http::RequestHead request_;
  std::string_view trailers_out_;
  Outbox out_;
  std::array<std::byte, local_reply_bytes_max> reply_;
};

}  // namespace sluice::proxy
