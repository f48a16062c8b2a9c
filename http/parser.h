// Bytes -> messages. llhttp reads heads, in strict mode; what it still lets through is refused here
// (each rule has its code in rule.h). A head is parsed in one piece, once HeadScanner has found its
// end; a body is taken apart in place, as it comes.
//
// Blanks (RFC 9110 5.6.3) that llhttp does not know are rewritten where they stand, and the head is
// read again: tabs behind a value, and of endpoints blanks before a colon.
//
// One Parser a direction, embedded in its exchange; it allocates nothing and keeps no pointer to
// bytes between calls.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "http/chunked_body.h"
#include "http/message.h"
#include "http/rule.h"

namespace sluice::http {

class Parser {
 public:
  // `head` is a complete head, from the start line to the empty line. It is writable because the
  // target is normalised where it stands. Afterwards take_body() is ready for what `out.framing`
  // says.
  [[nodiscard]] Rule parse_request(std::span<char> head, RequestHead& out);
  // `request` is the method that is answered: HEAD has no body whatever the fields say (RFC
  // 9112 6.3).
  [[nodiscard]] Rule parse_response(std::span<char> head, Method request, ResponseHead& out);

  // Payload of `in` goes to `out`, which may be `in` itself or lie before it. Stops at the end of
  // the message.
  [[nodiscard]] BodyPiece take_body(std::span<const char> in, char* out);
  // Of a body of known length: so many bytes of it, at most remaining(), went past us.
  void note_taken(uint64_t bytes) {
    remaining_ -= bytes;
    complete_ = remaining_ == 0;
  }
  // Whether the sender's close is what ends the body; and that it has come.
  [[nodiscard]] bool ends_at_close() const { return framing_ == Framing::until_close; }
  void end_at_close() { complete_ = true; }
  [[nodiscard]] bool body_complete() const { return complete_; }
  // Before the first take_body() of a chunked message: where its trailers are kept. See
  // ChunkedBody.
  void keep_trailers(std::span<char> memory) { body_.keep_trailers(memory); }
  [[nodiscard]] std::string_view trailers() const { return body_.trailers(); }
  void drop_trailer(std::string_view name) { body_.drop_trailer(name); }
  // Of an endpoint: lines with blanks where none belong, which were passed over (RFC 9112 5.1).
  [[nodiscard]] uint32_t repairs() const { return head_repairs_ + body_.repairs(); }
  // Bytes still to come where the length is known.
  [[nodiscard]] uint64_t remaining() const { return remaining_; }

 private:
  struct Callbacks;

  Rule run_head(std::span<char> head, llhttp_type_t type, Fields& fields);
  template <typename Head>
  static Rule finish_fields(Head& head);
  Rule read_head(std::span<char> head, llhttp_type_t type, Fields& fields);
  bool repair(std::span<char> head, llhttp_type_t type, Rule rule);
  void expect_body(Framing framing, uint64_t length, Sender sender);

  llhttp_t llhttp_;
  // During a call only.
  const char* base_ = nullptr;
  Fields* fields_ = nullptr;
  Rule rule_ = Rule::none;
  uint16_t name_begin_ = 0, name_size_ = 0, value_begin_ = 0, value_size_ = 0;
  // Between calls.
  Framing framing_ = Framing::none;
  bool complete_ = true;
  uint32_t head_repairs_ = 0;
  uint64_t remaining_ = 0;
  ChunkedBody body_;
};

}  // namespace sluice::http
