// xoshiro256** (Blackman and Vigna, 2018): fast, seedable, not for secrets. One a worker; the seed
// is a parameter.
#pragma once

#include <array>
#include <cstdint>

namespace sluice::core {

class Random {
 public:
  explicit Random(uint64_t seed) {
    for (auto& word : state_) {  // splitmix64 spreads any seed, zero too
      seed += 0x9e3779b97f4a7c15;
      uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      word = mixed ^ (mixed >> 31);
    }
  }

  uint64_t next() {
    const uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  // Uniform enough in [0, bound) for bounds far below 2^64; bound > 0.
  uint64_t below(uint64_t bound) { return next() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }

 private:
  static uint64_t rotate(uint64_t value, int count) {
    return value << count | value >> (64 - count);
  }
  std::array<uint64_t, 4> state_{};
};

}  // namespace sluice::core
