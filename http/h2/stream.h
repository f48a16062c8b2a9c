// One request and its answer within a session, from either side's view. Its session makes it, and
// whoever was told of it gives it back by Session::release(); until then it stays, also when the
// peer has closed it or the session has ended.
//
// What happens to a stream is a set of events that its session tells once each (next_event()).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/intrusive_list.h"
#include "http/h2/body_queue.h"
#include "http/h2/error_code.h"
#include "http/h2/field_block.h"
#include "http/message.h"

namespace sluice::http::h2 {

struct EventTag;
struct LiveTag;

enum class Fin : uint8_t { more, last };

// What happened since it was last asked.
struct Events {
  bool head = false;  // a head can be read
  bool body = false;  // there is something of a body
  bool end = false;   // nothing more will come; trailers, if any, are there
  bool sent = false;  // everything that was offered has left, with its end if it was the last
  bool gone = false;  // the peer or the session gave the stream up: code() says why
};

class Stream : public core::ListNode<EventTag>, public core::ListNode<LiveTag> {
 public:
  [[nodiscard]] int32_t id() const { return id_; }
  [[nodiscard]] uint32_t body_bytes() const { return body_.size(); }  // that can be read
  // Nothing more comes from the peer, and it said so.
  [[nodiscard]] bool has_ended() const { return inbound_ == Inbound::ended; }
  // Lines of "name: value\r\n" that may go on; empty if there are none.
  [[nodiscard]] std::string_view trailers() const { return {trailers_, trailers_size_}; }
  [[nodiscard]] bool is_gone() const { return gone_; }
  [[nodiscard]] ErrorCode code() const { return code_; }
  // The rule that the peer broke, if that is why the stream is gone.
  [[nodiscard]] Rule rule() const { return rule_; }
  // Of a client session: it does no harm to send the request again (RFC 9113 8.7).
  [[nodiscard]] bool is_unprocessed() const { return unprocessed_; }
  // Bytes that the session or the last Output still refers to.
  [[nodiscard]] bool holds_bytes() const { return !offered_.empty() || in_flight_ > 0; }
  [[nodiscard]] uint64_t received_bytes() const { return received_; }
  [[nodiscard]] uint64_t sent_bytes() const { return sent_; }

  // Whatever the owner wants to find again.
  void* owner = nullptr;

 private:
  friend class Session;

  enum class Inbound : uint8_t {
    head,      // no final head has come
    body,      // behind it
    trailers,  // their block is being read
    ended,     // by END_STREAM
    cut,       // no more is taken
  };

  Stream(Memory& memory, int32_t id) : id_(id), body_(memory) {}
  // Both sides have said all that they had to.
  [[nodiscard]] bool is_whole() const { return inbound_ == Inbound::ended && end_sent_; }

  int32_t id_;
  Inbound inbound_ = Inbound::head;
  Events events_;
  bool gone_ = false;
  bool closed_ = false;    // nghttp2 knows it no more
  bool released_ = false;  // nobody else knows it any more
  bool unprocessed_ = false;
  bool fin_ = false;           // nothing is offered behind what is
  bool end_sent_ = false;      // our END_STREAM is in an Output
  bool has_provider_ = false;  // nghttp2 asks us for a body
  bool deferred_ = false;      // it asked, and there was nothing
  bool counted_ = false;       // among those that the peer made us reset
  uint8_t informational_ = 0;
  Method method_ = Method::other;  // that is answered
  Rule rule_ = Rule::none;
  ErrorCode code_ = ErrorCode::no_error;

  FieldBlock* block_ = nullptr;  // that comes in
  FieldBlock* heads_ = nullptr;  // that wait to be read, the oldest first
  BodyQueue body_;
  bool has_content_length_ = false;
  uint64_t content_length_ = 0;
  uint64_t received_ = 0;
  char* trailers_ = nullptr;
  uint32_t trailers_size_ = 0;

  std::span<const std::byte> offered_;
  std::string_view trailers_out_;
  uint32_t in_flight_ = 0;  // of what was offered: in the Output
  uint64_t sent_ = 0;
  uint64_t progress_ms_ = 0;  // when something was offered or taken last
};

}  // namespace sluice::http::h2
