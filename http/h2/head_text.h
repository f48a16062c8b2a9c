// The text of a head that is read from HTTP/2, written as HTTP/1.1 would have it.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>

#include "core/assert.h"
#include "http/content_length.h"
#include "http/field.h"
#include "http/h2/field_check.h"

namespace sluice::http::h2 {

class HeadText {
 public:
  explicit HeadText(std::span<char> memory) : memory_(memory) {}

  // Whoever sized the memory has bounded the block.
  std::string_view put(std::string_view text) {
    SLUICE_ASSERT(text.size() <= memory_.size() - used_);
    char* at = memory_.data() + used_;
    std::copy(text.begin(), text.end(), at);
    used_ += text.size();
    return {at, text.size()};
  }
  // "name: value\r\n", and where it stands.
  Rule add(Fields& fields, FieldName id, std::string_view name, std::string_view value) {
    if (fields.full()) return Rule::too_many_fields;
    Field& field = fields.add();
    field = {.name_begin = position(),
             .name_size = static_cast<uint16_t>(name.size()),
             .value_begin = static_cast<uint16_t>(used_ + name.size() + 2),
             .value_size = static_cast<uint16_t>(value.size()),
             .id = id,
             .disposition = Disposition::keep};
    put(name);
    put(": ");
    put(value);
    put("\r\n");
    return Rule::none;
  }
  [[nodiscard]] uint16_t position() const { return static_cast<uint16_t>(used_); }
  [[nodiscard]] size_t room() const { return memory_.size() - used_; }
  [[nodiscard]] char* begin() const { return memory_.data(); }

 private:
  std::span<char> memory_;
  size_t used_ = 0;
};

// The length that a message says it has.
struct SaidLength {
  bool is_said = false;
  uint64_t bytes = 0;
};

// A field of a head that is not a pseudo-field.
[[nodiscard]] inline Rule check_head_field(FieldName id, std::string_view name,
                                           std::string_view value, SaidLength& length) {
  if (const Rule rule = check_name(name); rule != Rule::none) return rule;
  if (const Rule rule = check_value(value); rule != Rule::none) return rule;
  if (id != FieldName::content_length) return check_connection_field(id, value);
  if (length.is_said) return Rule::content_length;
  length.is_said = true;
  return parse_content_length(value, length.bytes);
}

}  // namespace sluice::http::h2
