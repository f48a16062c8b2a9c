// A chunked body (RFC 9112 7.1), taken apart in place, byte for byte as the grammar has it: every
// bound is exact wherever the pieces were cut. Of endpoints, whose answers somebody waits for,
// blanks where none belong are passed over and counted; no byte of them is passed on.
//
// Embedded in a Parser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/limits.h"
#include "http/rule.h"

namespace sluice::http {

// What a piece of a body came to.
struct BodyPiece {
  Rule rule = Rule::none;
  size_t consumed = 0;  // of the input; what follows belongs to the next message
  size_t produced = 0;  // payload bytes, moved together at `out`
  bool complete = false;
};

// Whose bytes are read.
enum class Sender : uint8_t { client, endpoint };

class ChunkedBody {
 public:
  ChunkedBody() = default;
  explicit ChunkedBody(Sender sender) : sender_(sender) {}

  // Kept trailer fields go to `memory`, at least limits::trailer_memory_bytes; without it they are
  // checked and dropped.
  void keep_trailers(std::span<char> memory) { trailers_ = memory.data(); }
  // What was kept: lines of "Name: value\r\n". Lives as long as the memory.
  [[nodiscard]] std::string_view trailers() const { return {trailers_, trailers_size_}; }
  // Takes a kept field out again, whatever its case.
  void drop_trailer(std::string_view name);
  // Lines with blanks where none belong.
  [[nodiscard]] uint32_t repairs() const { return repairs_; }

  // The payload goes to `out`, which may lie in `in` or before it.
  [[nodiscard]] BodyPiece take(std::span<const char> in, char* out);

 private:
  enum class Place : uint8_t {
    size_begin,   // before the first digit
    size,         // behind one
    size_blank,   // behind blanks that follow it
    name_begin,   // behind the ';' of an extension
    name,         // of an extension
    name_blank,   // behind blanks that follow it
    value_begin,  // behind the '=' of an extension
    value,        // of an extension, a token
    quoted,       // of an extension, a quoted string
    escaped,      // behind its backslash
    value_end,    // behind its second quote
    value_blank,  // behind blanks that follow a value
    size_lf,      // behind the CR of the line
    data,
    data_cr,  // behind the data
    data_lf,
    line_begin,  // of a trailer, or of the empty line
    trailer_name,
    trailer_name_blank,
    trailer_value_begin,
    trailer_value,
    trailer_lf,
    end_lf,
    done,
  };

  [[nodiscard]] Rule step(char c);
  [[nodiscard]] Rule step_size(char c);
  [[nodiscard]] Rule step_extension(char c);
  [[nodiscard]] Rule step_value(char c);
  [[nodiscard]] Rule step_trailer(char c);
  [[nodiscard]] Rule end_line(char c);
  [[nodiscard]] Rule begin_chunk();
  [[nodiscard]] Rule end_trailer();
  [[nodiscard]] Rule go(Place place);
  [[nodiscard]] Rule repair(Place place, Rule rule);
  void put(std::string_view text);

  Place place_ = Place::size_begin;
  Sender sender_ = Sender::client;
  uint8_t trailer_count_ = 0;
  uint16_t line_bytes_ = 0;       // of the size line, or of the trailer section
  uint16_t extension_bytes_ = 0;  // of the message
  uint16_t trailers_size_ = 0;    // kept for good
  uint16_t trailer_end_ = 0;      // of what was written
  uint32_t repairs_ = 0;
  uint64_t left_ = 0;  // of the chunk
  // For as long as the exchange says.
  char* trailers_ = nullptr;
};

}  // namespace sluice::http
