// Log lines on their way from one core to the log writer: a bounded ring of bytes, one writer, one
// reader. A line that does not fit is dropped whole and counted; the core never waits.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <memory>
#include <span>

#include "core/counter.h"

namespace sluice::metrics {

class LogRing {
 public:
  explicit LogRing(uint32_t capacity_bytes)
      : mask_(std::bit_ceil(capacity_bytes) - 1), bytes_(new char[mask_ + 1]) {}

  enum class Outcome : uint8_t { stored, half_full, dropped };
  // `half_full` is said once, by the line that crosses the middle: time to wake the writer.
  Outcome append(std::span<const char> line) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    const uint64_t used = tail - head_.load(std::memory_order_acquire);
    if (line.size() > mask_ + 1 - used) {
      dropped_.add();
      return Outcome::dropped;
    }
    const uint64_t at = tail & mask_;
    const size_t first = std::min<size_t>(line.size(), mask_ + 1 - at);
    std::memcpy(bytes_.get() + at, line.data(), first);
    std::memcpy(bytes_.get(), line.data() + first, line.size() - first);
    tail_.store(tail + line.size(), std::memory_order_release);
    const uint64_t half = (mask_ + 1) / 2;
    return used < half && used + line.size() >= half ? Outcome::half_full : Outcome::stored;
  }

  // Reader: what is there, in up to two pieces; then consume() what was used.
  [[nodiscard]] std::array<std::span<const char>, 2> readable() const {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    const uint64_t size = tail_.load(std::memory_order_acquire) - head;
    const uint64_t at = head & mask_;
    const uint64_t first = std::min(size, mask_ + 1 - at);
    return {std::span<const char>{bytes_.get() + at, first},
            std::span<const char>{bytes_.get(), size - first}};
  }
  void consume(size_t size) {
    head_.store(head_.load(std::memory_order_relaxed) + size, std::memory_order_release);
  }

  [[nodiscard]] uint64_t dropped() const { return dropped_.get(); }

 private:
  uint64_t mask_;
  std::unique_ptr<char[]> bytes_;
  alignas(64) std::atomic<uint64_t> head_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
  core::Counter dropped_;
};

}  // namespace sluice::metrics
