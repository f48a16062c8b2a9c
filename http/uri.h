// Request targets (RFC 9112 3.2, RFC 3986): checked, and brought to the one form that is matched
// and forwarded.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "http/message.h"
#include "http/path.h"
#include "http/rule.h"

namespace sluice::http {

struct Target {
  Rule rule = Rule::none;
  std::string_view text;  // path and query as forwarded, or "*"
  std::string_view path;  // normalised
  std::string_view query;
  std::string_view authority;  // of the absolute form, else empty
  PathForm path_form = PathForm::plain;
  bool has_encoded_separator = false;
};

// Normalises in place: the result is never longer. [begin, begin + size) must be writable and live
// as long as the views.
// The path as normalize_path() says; the query stays as it came, with its percent-encodings
// checked, and |[]{}^"\` in it, as browsers send them.
[[nodiscard]] Target normalize_target(Method method, char* begin, size_t size);

// The value of the first parameter of this name, as it came; nothing if there is none. A name alone
// has an empty value.
[[nodiscard]] std::optional<std::string_view> find_parameter(std::string_view query,
                                                             std::string_view name);

// Decodes unreserved characters (RFC 3986 2.3) in the values of every parameter of this name, in
// place; the rest of a value that becomes shorter is filled with '&'. What it writes is as good in
// a target as what was there. `bytes` is the writable memory that the head's views point into.
void decode_parameter(RequestHead& head, char* bytes, std::string_view name);

// Takes every parameter of this name out of the query, and out of the target that is forwarded.
// `bytes` is the writable memory that the head's views point into.
void remove_parameter(RequestHead& head, char* bytes, std::string_view name);

}  // namespace sluice::http
