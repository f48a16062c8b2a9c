// SipHash-1-3 with 128 bits of output (Aumasson and Bernstein, 2012): a keyed hash for short inputs
// that others choose. Without the key nobody finds two inputs that meet, and outputs tell nothing
// of the key. Takes whole words; the caller makes its words tell one input from another.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace sluice::core {

class SipHash {
 public:
  struct Key {
    uint64_t low = 0;
    uint64_t high = 0;
  };

  explicit SipHash(const Key& key)
      : a_(key.low ^ 0x736f6d6570736575),
        b_(key.high ^ 0x646f72616e646f83),  // 0xee of the wide form is in it
        c_(key.low ^ 0x6c7967656e657261),
        d_(key.high ^ 0x7465646279746573) {}

  void add(uint64_t word) {
    d_ ^= word;
    round();
    a_ ^= word;
  }

  // Ends it.
  [[nodiscard]] std::array<uint64_t, 2> finish() {
    c_ ^= 0xee;
    for (int i = 0; i < 3; ++i) round();
    const uint64_t first = a_ ^ b_ ^ c_ ^ d_;
    b_ ^= 0xdd;
    for (int i = 0; i < 3; ++i) round();
    return {first, a_ ^ b_ ^ c_ ^ d_};
  }

 private:
  void round() {
    a_ += b_;
    b_ = std::rotl(b_, 13) ^ a_;
    a_ = std::rotl(a_, 32);
    c_ += d_;
    d_ = std::rotl(d_, 16) ^ c_;
    a_ += d_;
    d_ = std::rotl(d_, 21) ^ a_;
    c_ += b_;
    b_ = std::rotl(b_, 17) ^ c_;
    c_ = std::rotl(c_, 32);
  }

  uint64_t a_, b_, c_, d_;
};

}  // namespace sluice::core
