// The value of Content-Length (RFC 9110 8.6).
#pragma once

#include <cstdint>
#include <string_view>

#include "http/rule.h"

namespace sluice::http {

// Digits only, at most 10^18 - 1.
[[nodiscard]] inline Rule parse_content_length(std::string_view text, uint64_t& length) {
  if (text.empty() || text.size() > 18) return Rule::content_length;
  length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return Rule::content_length;
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  return Rule::none;
}

}  // namespace sluice::http
