// The character classes of RFC 9110 5.6.2.
#pragma once

#include <array>
#include <string_view>

namespace sluice::http {

inline constexpr std::array<bool, 256> token_characters = [] {
  std::array<bool, 256> table{};
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = table[c + 32U] = true;
  for (const char c : std::string_view{"!#$%&'*+-.^_`|~"})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

// OWS and BWS (RFC 9110 5.6.3).
[[nodiscard]] inline bool is_blank(char c) { return c == ' ' || c == '\t'; }

[[nodiscard]] inline bool is_token(std::string_view text) {
  for (const char c : text) {
    if (!token_characters[static_cast<unsigned char>(c)]) return false;
  }
  return !text.empty();
}

}  // namespace sluice::http
