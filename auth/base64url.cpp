// The strict decoder: no padding, no spare bits, no foreign letter.
#include "auth/base64url.h"

#include <array>
#include <cstdint>

namespace sluice::auth {

namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr uint32_t foreign = 0x80000000;

using Table = std::array<uint32_t, 256>;

// What a character means at one of the four places of a group: six of its 24 bits.
constexpr std::array<Table, 4> values = [] {
  std::array<Table, 4> tables{};
  for (unsigned place = 0; place < tables.size(); ++place) {
    tables[place].fill(foreign);
    for (uint32_t i = 0; i < alphabet.size(); ++i)
      tables[place][static_cast<unsigned char>(alphabet[i])] = i << (18 - 6 * place);
  }
  return tables;
}();

void write_group(uint32_t bits, unsigned char* out) {
  out[0] = static_cast<unsigned char>(bits >> 16);
  out[1] = static_cast<unsigned char>(bits >> 8);
  out[2] = static_cast<unsigned char>(bits);
}

}  // namespace

std::optional<size_t> base64url_decode(std::string_view text, std::span<unsigned char> out) {
  const size_t rest = text.size() % 4;
  if (rest == 1 || text.size() / 4 * 3 + (rest == 0 ? 0 : rest - 1) > out.size())
    return std::nullopt;
  const auto value = [&](size_t at, unsigned place) {
    return values[place][static_cast<unsigned char>(text[at])];
  };
  unsigned char* end = out.data();
  size_t at = 0;
  uint32_t seen = 0;  // keeps the bit of a foreign character that came by
  for (; at + 4 <= text.size(); at += 4, end += 3) {
    const uint32_t bits = value(at, 0) | value(at + 1, 1) | value(at + 2, 2) | value(at + 3, 3);
    seen |= bits;
    write_group(bits, end);
  }
  if (rest != 0) {
    const uint32_t bits = value(at, 0) | value(at + 1, 1) | (rest == 3 ? value(at + 2, 2) : 0);
    if ((bits & (rest == 3 ? 0xffU : 0xffffU)) != 0) return std::nullopt;
    seen |= bits;
    *end++ = static_cast<unsigned char>(bits >> 16);
    if (rest == 3) *end++ = static_cast<unsigned char>(bits >> 8);
  }
  if ((seen & foreign) != 0) return std::nullopt;
  return static_cast<size_t>(end - out.data());
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
