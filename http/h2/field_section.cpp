// Collects the fields of one head or of trailers.
#include "http/h2/field_section.h"

#include "core/assert.h"
#include "http/field.h"

namespace sluice::http::h2 {

namespace {

std::string_view take_line(std::string_view& text) {
  const size_t end = text.find("\r\n");
  SLUICE_ASSERT(end != std::string_view::npos);
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 2);
  return line;
}

bool is_for_one_connection(FieldName id, std::string_view value) {
  switch (id) {
    case FieldName::connection:
    case FieldName::keep_alive:
    case FieldName::proxy_connection:
    case FieldName::transfer_encoding:
    case FieldName::upgrade: return true;
    case FieldName::te: return !equals_ignoring_case(value, "trailers");
    default: return false;
  }
}

// What a compressor shared by a connection's streams must not keep (RFC 7541 7.1.3).
bool is_credential(FieldName id, std::string_view name) {
  return id == FieldName::authorization || id == FieldName::proxy_authorization ||
         equals_ignoring_case(name, "cookie") || equals_ignoring_case(name, "set-cookie") ||
         equals_ignoring_case(name, "x-api-key");
}

}  // namespace

void FieldSection::take_response(std::string_view text) {
  size_ = 0;
  authority_ = SIZE_MAX;
  const std::string_view line = take_line(text);
  SLUICE_ASSERT(line.size() >= 12);
  add(":status", line.substr(9, 3));
  take_lines(text);
}

void FieldSection::take_request(std::string_view text, std::string_view scheme) {
  size_ = 0;
  const std::string_view line = take_line(text);
  const size_t method_end = line.find(' ');
  const size_t target_end = line.rfind(' ');
  SLUICE_ASSERT(method_end < target_end && target_end != std::string_view::npos);
  add(":method", line.substr(0, method_end));
  add(":scheme", scheme);
  add(":path", line.substr(method_end + 1, target_end - method_end - 1));
  authority_ = size_;
  add(":authority", {});
  take_lines(text);
}

void FieldSection::take_trailers(std::string_view lines) {
  size_ = 0;
  authority_ = SIZE_MAX;
  take_lines(lines);
}

void FieldSection::take_lines(std::string_view lines) {
  while (!lines.empty()) {
    const std::string_view line = take_line(lines);
    if (line.empty()) return;
    const size_t colon = line.find(':');
    SLUICE_ASSERT(colon != std::string_view::npos);
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim_blanks(line.substr(colon + 1));
    const FieldName id = recognize_field(name);
    if (is_for_one_connection(id, value)) continue;
    if (id == FieldName::host && authority_ != SIZE_MAX) {
      fields_[authority_].value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
      fields_[authority_].valuelen = value.size();
      continue;
    }
    add(name, value);
    if (is_credential(id, name)) fields_[size_ - 1].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
  }
}

// nghttp2 reads these bytes, and copies them.
void FieldSection::add(std::string_view name, std::string_view value) {
  SLUICE_ASSERT(size_ < fields_.size());
  fields_[size_++] = {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                      reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                      value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace sluice::http::h2
