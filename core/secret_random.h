// Random numbers that leave the process, such as request ids: ChaCha8 (Bernstein, 2008), keyed
// once from the system. What has come out tells nothing of what comes next, of what came before, or
// of the key: each refill begins with the next key. No system call. One for each worker.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace sluice::core {

class SecretRandom {
 public:
  using Key = std::array<uint32_t, 8>;
  explicit SecretRandom(const Key& key) : key_(key) {}

  uint64_t next() {
    if (used_ == words) refill();
    return std::exchange(out_[used_++], 0);
  }

  // One block of the cipher (RFC 8439 2.3, with a counter of 64 bits and no nonce).
  using Block = std::array<uint32_t, 16>;
  template <int rounds = 8>
  static Block block(const Key& key, uint64_t counter) {
    using Row = uint32_t __attribute__((vector_size(16)));
    const Row first[4] = {{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574},
                          {key[0], key[1], key[2], key[3]},
                          {key[4], key[5], key[6], key[7]},
                          {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32)}};
    Row a = first[0], b = first[1], c = first[2], d = first[3];
    const auto rotate = [](Row row, int count) { return row << count | row >> (32 - count); };
    const auto quarters = [&] {
      a += b, d = rotate(d ^ a, 16);
      c += d, b = rotate(b ^ c, 12);
      a += b, d = rotate(d ^ a, 8);
      c += d, b = rotate(b ^ c, 7);
    };
    for (int round = 0; round < rounds; round += 2) {
      quarters();
      b = __builtin_shufflevector(b, b, 1, 2, 3, 0);
      c = __builtin_shufflevector(c, c, 2, 3, 0, 1);
      d = __builtin_shufflevector(d, d, 3, 0, 1, 2);
      quarters();
      b = __builtin_shufflevector(b, b, 3, 0, 1, 2);
      c = __builtin_shufflevector(c, c, 2, 3, 0, 1);
      d = __builtin_shufflevector(d, d, 1, 2, 3, 0);
    }
    const Row last[4] = {a + first[0], b + first[1], c + first[2], d + first[3]};
    Block out;
    std::memcpy(out.data(), last, sizeof out);
    return out;
  }

 private:
  static constexpr size_t blocks = 4;
  static constexpr size_t words = blocks * sizeof(Block) / sizeof(uint64_t);

  void refill() {
    for (uint64_t counter = 0; counter < blocks; ++counter) {
      const Block made = block(key_, counter);
      std::memcpy(out_.data() + counter * sizeof made / sizeof(uint64_t), made.data(), sizeof made);
    }
    std::memcpy(key_.data(), out_.data(), sizeof key_);
    std::memset(out_.data(), 0, sizeof key_);
    used_ = sizeof key_ / sizeof(uint64_t);
  }

  Key key_;
  std::array<uint64_t, words> out_{};
  size_t used_ = words;
};

}  // namespace sluice::core
