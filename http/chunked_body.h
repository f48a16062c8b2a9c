// What llhttp leaves open of a chunked body (RFC 9112 7.1): how long a chunk-size line and a
// trailer section may be, counted exactly wherever the pieces were cut, and which trailer fields
// are kept for the other side.
//
// Embedded in a Parser, which calls it from llhttp's callbacks.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/limits.h"
#include "http/rule.h"

namespace sluice::http {

class ChunkedBody {
 public:
  // Kept trailer fields go to `memory`, at least limits::trailer_memory_bytes; without it they are
  // checked and dropped.
  void keep_trailers(std::span<char> memory) { trailers_ = memory.data(); }
  // What was kept: lines of "Name: value\r\n". Lives as long as the memory.
  [[nodiscard]] std::string_view trailers() const { return {trailers_, trailers_size_}; }
  // Takes a kept field out again, whatever its case.
  void drop_trailer(std::string_view name);

  // A piece begins; its payload goes to `out`, which may lie in it or before it.
  void begin_piece(std::span<const char> in, char* out);
  // Its first `consumed` bytes were read: whether what is not complete yet is already too long.
  [[nodiscard]] Rule end_piece(size_t consumed);
  [[nodiscard]] size_t produced() const { return static_cast<size_t>(out_ - out_begin_); }

  // llhttp's events.
  [[nodiscard]] Rule on_data(std::string_view bytes);
  [[nodiscard]] Rule on_extension(size_t size);
  void on_chunk_complete();
  [[nodiscard]] Rule on_trailer_name(std::string_view part);
  [[nodiscard]] Rule on_trailer_value(std::string_view part);
  [[nodiscard]] Rule on_trailer_complete();

 private:
  enum class Place : uint8_t { size_line, data, trailer_name, trailer_value };

  [[nodiscard]] uint64_t offset(const char* at) const {
    return piece_offset_ + static_cast<uint64_t>(at - piece_);
  }
  [[nodiscard]] Rule too_long(uint64_t end) const;
  void put(std::string_view text);

  Place place_ = Place::size_line;
  uint8_t trailer_count_ = 0;
  uint16_t extension_bytes_ = 0;
  uint16_t trailers_size_ = 0;  // kept for good
  uint16_t trailer_end_ = 0;    // of what was written
  uint64_t section_begin_ = 0;  // of the size line, or of the trailer section: offset in the body
  uint64_t data_end_ = 0;
  uint64_t piece_offset_ = 0;
  // During a piece only.
  const char* piece_ = nullptr;
  char* out_begin_ = nullptr;
  char* out_ = nullptr;
  // For as long as the exchange says.
  char* trailers_ = nullptr;
};

}  // namespace sluice::http
