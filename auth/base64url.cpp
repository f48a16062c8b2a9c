#include "auth/base64url.h"

#include <array>
#include <cstdint>

namespace sluice::auth {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr uint8_t foreign = 0xff;

constexpr std::array<uint8_t, 256> values = [] {
  std::array<uint8_t, 256> table{};
  table.fill(foreign);
  for (size_t i = 0; i < alphabet.size(); ++i) table[static_cast<unsigned char>(alphabet[i])] = static_cast<uint8_t>(i);
  return table;
}();

}  // namespace

std::optional<size_t> base64url_decode(std::string_view text, std::span<unsigned char> out) {
  const size_t rest = text.size() % 4;
  if (rest == 1 || text.size() / 4 * 3 + (rest == 0 ? 0 : rest - 1) > out.size()) return std::nullopt;
  size_t size = 0;
  uint32_t bits = 0;
  uint32_t collected = 0;
  uint8_t seen = 0;  // the high bit stays set once a foreign character came by
  for (const char c : text) {
    const uint8_t value = values[static_cast<unsigned char>(c)];
    seen |= value;
    bits = bits << 6 | value;
    if (++collected == 4) {
      out[size] = static_cast<unsigned char>(bits >> 16);
      out[size + 1] = static_cast<unsigned char>(bits >> 8);
      out[size + 2] = static_cast<unsigned char>(bits);
      size += 3;
      bits = collected = 0;
    }
  }
  if ((seen & 0x80) != 0) return std::nullopt;
  if (rest == 2) {
    if ((bits & 0xf) != 0) return std::nullopt;
    out[size++] = static_cast<unsigned char>(bits >> 4);
  } else if (rest == 3) {
    if ((bits & 0x3) != 0) return std::nullopt;
    out[size++] = static_cast<unsigned char>(bits >> 10);
    out[size++] = static_cast<unsigned char>(bits >> 2);
  }
  return size;
}

std::string base64url_encode(std::span<const unsigned char> bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t bits = 0;
  unsigned pending = 0;
  for (const unsigned char byte : bytes) {
    bits = (bits & 0xffff) << 8 | byte;
    pending += 8;
    while (pending >= 6) {
      pending -= 6;
      text += alphabet[bits >> pending & 63];
    }
  }
  if (pending > 0) text += alphabet[bits << (6 - pending) & 63];
  return text;
}

}  // namespace sluice::auth
