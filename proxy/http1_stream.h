// One request and its answer in HTTP/1.1, on a client's connection: the buffer that the request is
// in, its parser, where its body is and where the next request begins; how the answer is framed,
// what of it is on its way, and whether the connection stays.
//
// It says what HTTP/1.1 makes of things; what becomes of the request is decided by its exchange,
// which it is a part of. A stream of another protocol stands beside it with the same functions, and
// the exchange has one of them. It tells nobody anything: what it is waiting for comes as a
// DownstreamEvent to the exchange.
//
// The buffer holds: [head][body bytes, or what follows the request][free]; its send area is for the
// head that goes to the endpoint.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/buffer_pool.h"
#include "http/parser.h"
#include "http/serializer.h"
#include "proxy/body_part.h"
#include "proxy/downstream_connection.h"
#include "proxy/local_reply.h"
#include "proxy/outbox.h"

namespace sluice::proxy {

class Http1Stream {
 public:
  using Afterwards = DownstreamConnection::Afterwards;
  // How far the request is understood.
  enum class Reading : uint8_t {
    unread,      // its head is not parsed
    refused,     // it breaks a rule
    understood,  // request() says what it is
  };
  // What is to be done when the answer is out.
  enum class Rest : uint8_t {
    next_request,  // all of the request has come, and the connection stays
    close,         // all of it has come, and nothing more
    linger,        // the client may still send, and nobody listens
    discard,       // the rest of the body must be read, to find the next request
  };

  void open(DownstreamConnection& connection, const Arrival& arrival);

  // --- the request ---------------------------------------------------------------------------
  // Parses the head and takes apart what came of the body with it.
  [[nodiscard]] http::Rule read_head(const http::HeadScanner::Outcome& head);
  [[nodiscard]] bool is_understood() const { return reading_ == Reading::understood; }
  [[nodiscard]] http::RequestHead& request() { return request_; }
  [[nodiscard]] const http::RequestHead& request() const { return request_; }
  // Where the views of request() point to: what is changed in it may be written there.
  [[nodiscard]] char* memory() const { return chars_of(area()).data(); }
  // Where a head for the endpoint may be written.
  [[nodiscard]] std::span<std::byte> head_area() const {
    return parser_.body_complete() ? buffer_.send_area_behind(received_) : buffer_.send_area();
  }
  // What came of the body with the head.
  [[nodiscard]] BodyPart first_part() const {
    return {.bytes = area().subspan(head_end_, payload_size_),
            .complete = parser_.body_complete(),
            .trailers = parser_.body_complete() ? parser_.trailers() : std::string_view{}};
  }
  [[nodiscard]] bool body_complete() const { return parser_.body_complete(); }
  // Of a body of known length, bytes still to come.
  [[nodiscard]] uint64_t body_remaining() const { return parser_.remaining(); }
  // Of a body that is complete, what is left then of the lines that are passed on.
  std::string_view drop_trailer(std::string_view name) {
    parser_.drop_trailer(name);
    return parser_.trailers();
  }

  // The next bytes of the body, or of what is to be thrown away.
  void receive_body(Station& station);
  [[nodiscard]] BodyPart on_body(uint32_t size);
  // So many bytes of it went past us.
  void note_body_taken(uint64_t bytes) { parser_.note_taken(bytes); }
  // The client waits for 100 (Continue); asked once.
  [[nodiscard]] bool take_expectation();

  // --- after a 101: bytes that are no HTTP ---------------------------------------------------
  void receive_raw(Station& station);
  [[nodiscard]] std::span<const std::byte> raw(uint32_t size) const;
  // What the client said ahead of the 101; once.
  [[nodiscard]] std::span<const std::byte> take_ahead();

  // --- the answer ----------------------------------------------------------------------------
  // Whether the connection may stay; close is for good.
  [[nodiscard]] http::Persistence persistence() const { return persistence_; }
  void close_afterwards() { persistence_ = http::Persistence::close; }
  [[nodiscard]] bool has_answer_begun() const { return answer_ != Answer::none; }
  // How a body with this framing leaves towards this client. Before send_head().
  [[nodiscard]] http::Framing frame_answer(http::Framing framing);
  [[nodiscard]] http::Framing framing() const { return framing_; }
  void send_continue() { out_.add(bytes_of(http::continue_response)); }
  // HTTP/1.0 knows no 1xx: then nothing is sent.
  void send_informational(std::span<std::byte> memory, http::ResponseHead& response);
  struct Fields {
    std::string_view request_id;
    std::string_view date;  // empty: the answer has one
    std::span<const http::AddedField> more;
  };
  // Into `memory`, which stays until it has left, with the first of the body behind it if there is
  // room.
  void send_head(std::span<std::byte> memory, const http::ResponseHead& response,
                 const Fields& fields, const BodyPart& first);
  void send_body(const BodyPart& part) { add_body(out_, part); }
  void send_switching(std::span<std::byte> memory, const http::ResponseHead& response,
                      std::string_view protocol, const Fields& fields);
  void send_raw(std::span<const std::byte> bytes) { out_.add(bytes); }
  // An answer of our own. It closes the connection where nothing else leaves no doubt about what
  // follows; `discard_max` bytes of the body would be thrown away.
  void send_reply(LocalReply& reply, const Fields& fields, uint64_t discard_max);
  [[nodiscard]] bool has_nothing_to_send() const { return out_.empty(); }
  // Sends what there is; SendProgress::waiting: the events sending and sent follow.
  [[nodiscard]] SendProgress flush(Station& station) { return connection_->send(station, out_); }
  // Whether a flush() is under way, which goes on with what is added.
  [[nodiscard]] bool is_flushing() const { return connection_->channel().has_send_in_flight(); }

  // --- the end -------------------------------------------------------------------------------
  [[nodiscard]] Rest rest() const;
  // The exchange is over: what follows is the connection's.
  void finish(Station& station, Afterwards afterwards);
  void on_connection_gone();

  // --- the connection ------------------------------------------------------------------------
  [[nodiscard]] bool has_connection() const { return connection_ != nullptr; }
  [[nodiscard]] DownstreamConnection& connection() const { return *connection_; }
  [[nodiscard]] Channel& channel() const { return connection_->channel(); }
  [[nodiscard]] uint64_t bytes_sent() const {
    return has_connection() ? channel().bytes_sent() - sent_before_ : sent_before_;
  }

 private:
  enum class Answer : uint8_t { none, begun };

  [[nodiscard]] std::span<std::byte> area() const { return buffer_.receive_area(); }
  // Body bytes that come after the head are received here, with room for a chunk's size line.
  [[nodiscard]] uint32_t body_begin() const {
    return head_end_ + static_cast<uint32_t>(http::chunk_line_max);
  }
  void add_body(Outbox& outbox, const BodyPart& part) const;
  [[nodiscard]] http::Method method_to_answer() const;

  Reading reading_ = Reading::unread;
  Answer answer_ = Answer::none;
  http::Persistence persistence_ = http::Persistence::keep_alive;
  http::Framing framing_ = http::Framing::none;  // of the answer
  DownstreamConnection* connection_ = nullptr;   // until the end, or until it is gone
  core::Buffer buffer_;
  uint32_t received_ = 0;  // end of what has come
  uint32_t head_end_ = 0;
  uint32_t payload_size_ = 0;  // body bytes that came with the head, at head_end_
  uint32_t follow_begin_ = 0;  // once the request is complete: where the next one begins
  uint64_t sent_before_ = 0;   // on the connection; once it is gone: what was sent
  http::Parser parser_;
  http::RequestHead request_;
  Outbox out_;
  std::array<std::byte, local_reply_bytes_max> reply_;
};

}  // namespace sluice::proxy
