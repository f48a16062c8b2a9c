// Finds the end of a head in bytes that arrive piece by piece, in one pass over each byte however
// they are cut, and refuses what no head may hold: a bare CR or LF, control bytes, folded lines,
// too many bytes. A head is parsed only once it is complete, so a client that sends one byte at a
// time costs no more than one that sends all at once.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/rule.h"

namespace sluice::http {

enum class HeadKind : uint8_t { request, response };

class HeadScanner {
 public:
  struct Outcome {
    enum class State : uint8_t { incomplete, complete, broken };
    State state;
    Rule rule = Rule::none;  // if broken
    uint32_t begin = 0;      // if complete: where the start line begins, past a leading blank line
    uint32_t end = 0;        // if complete: one past the last LF
  };

  void reset(HeadKind kind) { *this = HeadScanner{kind}; }
  // `bytes` is everything received of this message so far, from the same first byte on each call.
  Outcome scan(std::string_view bytes);

  HeadScanner() = default;

 private:
  explicit HeadScanner(HeadKind kind) : kind_(kind) {}
  [[nodiscard]] Outcome unfinished(std::string_view bytes) const;
  Outcome end_of_line(std::string_view bytes, uint32_t at);

  uint32_t position_ = 0;    // bytes before this are scanned
  uint32_t line_begin_ = 0;  // where the current line starts
  uint32_t begin_ = 0;       // where the start line starts
  bool start_line_seen_ = false;
  HeadKind kind_ = HeadKind::request;
};

// Whether a complete request line (without CRLF) is exactly: token SP target SP HTTP-version.
[[nodiscard]] Rule check_request_line(std::string_view line);
[[nodiscard]] Rule check_status_line(std::string_view line);

}  // namespace sluice::http
