// What a field of HTTP/2 may be, in a head and in a trailer section alike (RFC 9113 8.2).
#pragma once

#include <string_view>

#include "http/field.h"
#include "http/rule.h"

namespace sluice::http::h2 {

// A token without upper case.
[[nodiscard]] Rule check_name(std::string_view name);
// No control byte but HTAB, and no blank at either end.
[[nodiscard]] Rule check_value(std::string_view value);
// Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding and Upgrade are for one connection
// only, and so is TE beside "trailers".
[[nodiscard]] Rule check_connection_field(FieldName id, std::string_view value);

[[nodiscard]] inline bool is_pseudo(std::string_view name) {
  return !name.empty() && name[0] == ':';
}

}  // namespace sluice::http::h2
