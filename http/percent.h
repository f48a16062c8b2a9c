// Percent-encoding (RFC 3986 2.1).
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::http {

[[nodiscard]] inline int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The value of the two hex digits after a '%', or -1.
[[nodiscard]] inline int decode_percent(const char* digits, const char* end) {
  if (end - digits < 2) return -1;
  const int high = hex_value(digits[0]);
  const int low = hex_value(digits[1]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Writes "%XX"; returns where it ends.
inline char* put_percent(char* out, unsigned char value) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  *out++ = '%';
  *out++ = digits[static_cast<size_t>(value) >> 4];
  *out++ = digits[static_cast<size_t>(value) & 15];
  return out;
}

}  // namespace sluice::http
