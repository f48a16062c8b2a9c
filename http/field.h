// Header fields as offsets into the bytes they were received in: 12 bytes a field, nothing copied.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/limits.h"

namespace sluice::http {

// The fields that the proxy itself looks at; everything else is `other`.
enum class FieldName : uint8_t {
  other,
  authorization,
  connection,
  content_length,
  date,
  expect,
  forwarded,
  host,
  keep_alive,
  location,
  max_forwards,
  proxy_authenticate,
  proxy_authorization,
  proxy_connection,
  te,
  traceparent,
  trailer,
  transfer_encoding,
  upgrade,
  via,
  x_forwarded,  // every X-Forwarded-*
  x_real_ip,
  x_request_id,
};

// Case-insensitive.
[[nodiscard]] FieldName recognize_field(std::string_view name);
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);
[[nodiscard]] std::string_view trim_blanks(std::string_view text);  // SP and HTAB at both ends

// The elements of a comma-separated list (RFC 9110 5.6.1), trimmed; empty ones too.
template <typename Visit>
void for_each_option(std::string_view list, Visit&& visit) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    visit(trim_blanks(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

enum class Disposition : uint8_t { keep, drop };

struct Field {
  uint16_t name_begin;
  uint16_t name_size;
  uint16_t value_begin;
  uint16_t value_size;
  FieldName id;
  Disposition disposition;
};

class Fields {
 public:
  void reset(const char* base) {
    base_ = base;
    count_ = 0;
  }
  [[nodiscard]] bool full() const { return count_ == fields_.size(); }
  Field& add() { return fields_[count_++]; }
  [[nodiscard]] uint32_t size() const { return count_; }
  [[nodiscard]] Field& operator[](uint32_t index) { return fields_[index]; }
  [[nodiscard]] const Field& operator[](uint32_t index) const { return fields_[index]; }
  [[nodiscard]] Field* begin() { return fields_.data(); }
  [[nodiscard]] Field* end() { return fields_.data() + count_; }
  [[nodiscard]] const Field* begin() const { return fields_.data(); }
  [[nodiscard]] const Field* end() const { return fields_.data() + count_; }
  [[nodiscard]] std::string_view name(const Field& field) const {
    return {base_ + field.name_begin, field.name_size};
  }
  [[nodiscard]] std::string_view value(const Field& field) const {
    return {base_ + field.value_begin, field.value_size};
  }
  // The first field of that name, or nullptr.
  [[nodiscard]] const Field* find(FieldName id) const {
    for (const Field& field : *this) {
      if (field.id == id) return &field;
    }
    return nullptr;
  }

 private:
  const char* base_ = nullptr;
  uint32_t count_ = 0;
  std::array<Field, core::limits::head_fields_max> fields_;
};

}  // namespace sluice::http
