// Who an operation in the kernel belongs to: kind + slot + generation, packed into the 64 bits that
// the kernel hands back. An answer whose generation is not the slot's is stale; it is counted and
// dropped, and never happens unless a slot was freed with something in flight.
#pragma once

#include <cstdint>

namespace sluice::core {

struct Token {
  static constexpr uint32_t generation_mask = 0xffffff;

  uint8_t kind =
      0;  // meaning belongs to whoever runs the loop; 0 is reserved for the kernel seam itself
  uint32_t generation = 0;  // 24 bits
  uint32_t slot = 0;

  [[nodiscard]] constexpr uint64_t pack() const {
    return uint64_t{kind} << 56 | uint64_t{generation & generation_mask} << 32 | slot;
  }
  [[nodiscard]] static constexpr Token unpack(uint64_t bits) {
    return {static_cast<uint8_t>(bits >> 56), static_cast<uint32_t>(bits >> 32) & generation_mask,
            static_cast<uint32_t>(bits)};
  }
  bool operator==(const Token&) const = default;
};

}  // namespace sluice::core
