// The state machine of chunk lines, data and trailers.
#include "http/chunked_body.h"

#include <algorithm>
#include <cstring>

#include "core/assert.h"
#include "http/field.h"
#include "http/hygiene.h"
#include "http/percent.h"
#include "http/token.h"

namespace sluice::http {

namespace limits = core::limits;

namespace {

bool is_token_character(char c) { return token_characters[static_cast<unsigned char>(c)]; }
// What may stand in a value or in quotes (RFC 9110 5.5).
bool is_text(char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); }

}  // namespace

BodyPiece ChunkedBody::take(std::span<const char> in, char* out) {
  BodyPiece piece;
  while (piece.consumed < in.size() && place_ != Place::done) {
    const char* at = in.data() + piece.consumed;
    if (place_ != Place::data) {
      piece.rule = step(*at);
      if (piece.rule != Rule::none) return {.rule = piece.rule, .produced = piece.produced};
      ++piece.consumed;
      continue;
    }
    const auto size = static_cast<size_t>(std::min<uint64_t>(left_, in.size() - piece.consumed));
    if (out + piece.produced != at) std::memmove(out + piece.produced, at, size);
    piece.consumed += size;
    piece.produced += size;
    left_ -= size;
    if (left_ == 0) place_ = Place::data_cr;
  }
  piece.complete = place_ == Place::done;
  return piece;
}

Rule ChunkedBody::go(Place place) {
  place_ = place;
  return Rule::none;
}

// Where the grammar has no blank: an endpoint's answer is still understood in one way only.
Rule ChunkedBody::repair(Place place, Rule rule) {
  if (sender_ == Sender::client) return rule;
  ++repairs_;
  return go(place);
}

Rule ChunkedBody::step(char c) {
  switch (place_) {
    case Place::size_begin:
    case Place::size:
    case Place::size_blank: return step_size(c);
    case Place::name_begin:
    case Place::name:
    case Place::name_blank: return step_extension(c);
    case Place::value_begin:
    case Place::value:
    case Place::quoted:
    case Place::escaped:
    case Place::value_end:
    case Place::value_blank: return step_value(c);
    case Place::size_lf: return c == '\n' ? begin_chunk() : Rule::chunk_size;
    case Place::data_cr: return c == '\r' ? go(Place::data_lf) : Rule::chunk_size;
    case Place::data_lf: return c == '\n' ? go(Place::size_begin) : Rule::chunk_size;
    case Place::line_begin:
    case Place::trailer_name:
    case Place::trailer_name_blank:
    case Place::trailer_value_begin:
    case Place::trailer_value:
    case Place::trailer_lf:
    case Place::end_lf: return step_trailer(c);
    case Place::data:
    case Place::done: break;
  }
  SLUICE_UNREACHABLE();
}

// --- the size line -----------------------------------------------------------------------------

// What may follow a size, a name or a value: another extension, or the end of the line.
Rule ChunkedBody::end_line(char c) {
  if (c == ';') return go(Place::name_begin);
  return c == '\r' ? go(Place::size_lf) : Rule::chunk_size;
}

// It may have any number of leading zeros, of which only the bound of the line says anything.
Rule ChunkedBody::step_size(char c) {
  if (++line_bytes_ > limits::chunk_line_bytes_max - 1) return Rule::chunk_size;
  if (place_ != Place::size_blank && hex_value(c) >= 0) {
    if (left_ >> 60 != 0) return Rule::chunk_size;
    left_ = left_ << 4 | static_cast<uint64_t>(hex_value(c));
    return go(Place::size);
  }
  if (place_ == Place::size_begin)
    return is_blank(c) ? repair(Place::size_begin, Rule::chunk_size) : Rule::chunk_size;
  if (is_blank(c)) return go(Place::size_blank);
  if (place_ == Place::size_blank && c == '\r') return repair(Place::size_lf, Rule::chunk_size);
  return end_line(c);
}

// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
Rule ChunkedBody::step_extension(char c) {
  if (++line_bytes_ > limits::chunk_line_bytes_max - 1) return Rule::chunk_size;
  if (is_blank(c) || is_token_character(c)) {
    if (++extension_bytes_ > limits::chunk_extension_bytes_max) return Rule::chunk_extension;
    if (is_token_character(c))
      return place_ == Place::name_blank ? Rule::chunk_size : go(Place::name);
    return place_ == Place::name ? go(Place::name_blank) : Rule::none;
  }
  if (place_ == Place::name_begin) {  // no name at all
    const Place next = c == ';' ? Place::name_begin : Place::size_lf;
    return c == ';' || c == '\r' ? repair(next, Rule::chunk_size) : Rule::chunk_size;
  }
  if (c == '=') return go(Place::value_begin);
  if (place_ == Place::name_blank && c == '\r') return repair(Place::size_lf, Rule::chunk_size);
  return end_line(c);
}

Rule ChunkedBody::step_value(char c) {
  if (++line_bytes_ > limits::chunk_line_bytes_max - 1) return Rule::chunk_size;
  const bool is_quoted = place_ == Place::quoted || place_ == Place::escaped;
  if ((is_quoted || (c != ';' && c != '\r')) &&
      ++extension_bytes_ > limits::chunk_extension_bytes_max)
    return Rule::chunk_extension;
  if (place_ == Place::escaped) return is_text(c) ? go(Place::quoted) : Rule::chunk_size;
  if (place_ == Place::quoted) {
    if (c == '"') return go(Place::value_end);
    if (c == '\\') return go(Place::escaped);
    return is_text(c) ? Rule::none : Rule::chunk_size;
  }
  if (place_ == Place::value_begin) {
    if (is_blank(c)) return Rule::none;
    if (c == '"') return go(Place::quoted);
    return is_token_character(c) ? go(Place::value) : Rule::chunk_size;
  }
  if (place_ == Place::value && is_token_character(c)) return Rule::none;
  if (is_blank(c)) return go(Place::value_blank);
  if (place_ == Place::value_blank && c == '\r') return repair(Place::size_lf, Rule::chunk_size);
  return end_line(c);
}

Rule ChunkedBody::begin_chunk() {
  line_bytes_ = 0;
  return go(left_ == 0 ? Place::line_begin : Place::data);
}

// --- trailers --------------------------------------------------------------------------------

void ChunkedBody::put(std::string_view text) {
  if (trailers_ == nullptr || text.empty()) return;
  std::memcpy(trailers_ + trailer_end_, text.data(), text.size());
  trailer_end_ = static_cast<uint16_t>(trailer_end_ + text.size());
}

Rule ChunkedBody::step_trailer(char c) {
  if (++line_bytes_ > limits::trailer_bytes_max) return Rule::trailer;
  switch (place_) {
    case Place::line_begin:
      if (c == '\r') return go(Place::end_lf);
      [[fallthrough]];
    case Place::trailer_name:
      if (is_token_character(c)) {
        put({&c, 1});
        return go(Place::trailer_name);
      }
      if (place_ == Place::line_begin) return Rule::trailer;
      [[fallthrough]];
    case Place::trailer_name_blank:
      if (c == ':') {
        put(": ");
        return go(Place::trailer_value_begin);
      }
      if (!is_blank(c)) return Rule::trailer;
      return place_ == Place::trailer_name ? repair(Place::trailer_name_blank, Rule::trailer)
                                           : Rule::none;
    case Place::trailer_value_begin:
      if (is_blank(c)) return Rule::none;
      [[fallthrough]];
    case Place::trailer_value:
      if (c == '\r') return go(Place::trailer_lf);
      if (!is_text(c)) return Rule::trailer;
      put({&c, 1});
      return go(Place::trailer_value);
    case Place::trailer_lf: return c == '\n' ? end_trailer() : Rule::trailer;
    default: return c == '\n' ? go(Place::done) : Rule::trailer;
  }
}

Rule ChunkedBody::end_trailer() {
  place_ = Place::line_begin;
  if (++trailer_count_ > limits::head_fields_max) return Rule::trailer;
  if (trailers_ == nullptr) return Rule::none;
  const std::string_view line{trailers_ + trailers_size_,
                              static_cast<size_t>(trailer_end_ - trailers_size_)};
  const size_t colon = line.find(':');
  if (!may_be_a_trailer(line.substr(0, colon))) {
    trailer_end_ = trailers_size_;
    return Rule::none;
  }
  const std::string_view value = trim_blanks(line.substr(colon + 2));
  trailer_end_ = static_cast<uint16_t>(trailers_size_ + colon + 2 + value.size());
  put("\r\n");
  trailers_size_ = trailer_end_;
  return Rule::none;
}

void ChunkedBody::drop_trailer(std::string_view name) {
  std::string_view rest = trailers();
  size_t kept = 0;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    rest.remove_prefix(line.size());
    if (equals_ignoring_case(line.substr(0, line.find(':')), name)) continue;
    std::memmove(trailers_ + kept, line.data(), line.size());
    kept += line.size();
  }
  trailers_size_ = trailer_end_ = static_cast<uint16_t>(kept);
}

}  // namespace sluice::http
