// Which names and values RFC 9113 allows.
#include "http/h2/field_check.h"

#include <nghttp2/nghttp2.h>

#include "http/token.h"

namespace sluice::http::h2 {

Rule check_name(std::string_view name) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(name.data());
  return nghttp2_check_header_name(bytes, name.size()) != 0 && is_token(name) ? Rule::none
                                                                              : Rule::field_name;
}

Rule check_value(std::string_view value) {
  if (value.empty()) return Rule::none;
  if (nghttp2_check_header_value(reinterpret_cast<const uint8_t*>(value.data()), value.size()) ==
      0) {
    for (const char c : value) {
      if (c == '\r') return Rule::bare_cr;
      if (c == '\n') return Rule::bare_lf;
      if (c == '\0') break;
    }
    return Rule::control_byte;
  }
  if (is_blank(value.front()) || is_blank(value.back())) return Rule::field_value;
  return Rule::none;
}

Rule check_connection_field(FieldName id, std::string_view value) {
  switch (id) {
    case FieldName::connection:
    case FieldName::keep_alive:
    case FieldName::proxy_connection:
    case FieldName::transfer_encoding:
    case FieldName::upgrade: return Rule::connection_field;
    case FieldName::te:
      return equals_ignoring_case(value, "trailers") ? Rule::none : Rule::connection_field;
    default: return Rule::none;
  }
}

}  // namespace sluice::http::h2
