#include "http/chunked_body.h"

#include <cstring>

#include "http/field.h"
#include "http/hygiene.h"

namespace sluice::http {

namespace limits = core::limits;

void ChunkedBody::begin_piece(std::span<const char> in, char* out) {
  piece_ = in.data();
  out_begin_ = out_ = out;
}

Rule ChunkedBody::end_piece(size_t consumed) {
  piece_offset_ += consumed;
  piece_ = nullptr;
  return too_long(piece_offset_);
}

// A size line may have any number of leading zeros and a trailer any number of blanks, of which
// llhttp says nothing.
Rule ChunkedBody::too_long(uint64_t end) const {
  switch (place_) {
    case Place::size_line:
      return end - section_begin_ > limits::chunk_line_bytes_max ? Rule::chunk_size : Rule::none;
    case Place::data: return Rule::none;
    case Place::trailer_name:
    case Place::trailer_value:
      return end - section_begin_ > limits::trailer_bytes_max ? Rule::trailer : Rule::none;
  }
  return Rule::none;
}

Rule ChunkedBody::on_data(std::string_view bytes) {
  if (const Rule rule = too_long(offset(bytes.data())); rule != Rule::none) return rule;
  place_ = Place::data;
  data_end_ = offset(bytes.data()) + bytes.size();
  if (out_ != bytes.data()) std::memmove(out_, bytes.data(), bytes.size());
  out_ += bytes.size();
  return Rule::none;
}

Rule ChunkedBody::on_extension(size_t size) {
  if (size > limits::chunk_extension_bytes_max - extension_bytes_) return Rule::chunk_extension;
  extension_bytes_ = static_cast<uint16_t>(extension_bytes_ + size);
  return Rule::none;
}

void ChunkedBody::on_chunk_complete() {
  if (place_ != Place::data) return;  // the last chunk has none
  place_ = Place::size_line;
  section_begin_ = data_end_ + 2;
}

// --- trailers --------------------------------------------------------------------------------

void ChunkedBody::put(std::string_view text) {
  if (trailers_ == nullptr || text.empty()) return;
  std::memcpy(trailers_ + trailer_end_, text.data(), text.size());
  trailer_end_ = static_cast<uint16_t>(trailer_end_ + text.size());
}

Rule ChunkedBody::on_trailer_name(std::string_view part) {
  if (place_ == Place::size_line) {
    if (const Rule rule = too_long(offset(part.data())); rule != Rule::none) return rule;
    section_begin_ = offset(part.data());
  }
  place_ = Place::trailer_name;
  if (const Rule rule = too_long(offset(part.data()) + part.size()); rule != Rule::none)
    return rule;
  put(part);
  return Rule::none;
}

Rule ChunkedBody::on_trailer_value(std::string_view part) {
  if (place_ == Place::trailer_name) put(": ");
  place_ = Place::trailer_value;
  if (const Rule rule = too_long(offset(part.data()) + part.size()); rule != Rule::none)
    return rule;
  put(part);
  return Rule::none;
}

Rule ChunkedBody::on_trailer_complete() {
  place_ = Place::trailer_name;
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
