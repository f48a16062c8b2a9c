// How many requests ended with which route, method, status and reason: one counter for each
// combination that occurred. One core writes, any thread reads. The number of combinations is
// bounded by the config (labels never come from a request); what does not fit is counted under
// `overflow`.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "core/counter.h"

namespace sluice::metrics {

struct SeriesKey {
  uint16_t route = 0;
  uint8_t method = 0;
  uint16_t reason = 0;
  uint16_t status = 0;
  bool operator==(const SeriesKey&) const = default;
};

class RequestSeries {
 public:
  static constexpr uint32_t capacity = 4096;

  void count(SeriesKey key) {
    const uint64_t packed = pack(key);
    uint32_t index = static_cast<uint32_t>((packed * 0x9e3779b97f4a7c15) >> 52);
    for (uint32_t step = 0; step < capacity; ++step, index = (index + 1) % capacity) {
      Entry& entry = entries_[index];
      const uint64_t present = entry.key.load(std::memory_order_relaxed);
      if (present == 0) entry.key.store(packed, std::memory_order_release);
      if (present == 0 || present == packed) {
        entry.requests.add();
        return;
      }
    }
    overflow_.add();
  }

  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Entry& entry : entries_) {
      if (const uint64_t packed = entry.key.load(std::memory_order_acquire); packed != 0)
        visit(unpack(packed), entry.requests.get());
    }
  }
  [[nodiscard]] uint64_t overflow() const { return overflow_.get(); }

 private:
  struct Entry {
    std::atomic<uint64_t> key{0};
    core::Counter requests;
  };
  // The status is never 0, so no key is.
  static uint64_t pack(SeriesKey key) {
    return uint64_t{key.status} << 40 | uint64_t{key.route} << 24 | uint64_t{key.reason} << 8 |
           key.method;
  }
  static SeriesKey unpack(uint64_t bits) {
    return {static_cast<uint16_t>(bits >> 24), static_cast<uint8_t>(bits),
            static_cast<uint16_t>(bits >> 8), static_cast<uint16_t>(bits >> 40)};
  }
  static_assert(capacity == 1 << 12, "the hash above keeps twelve bits");

  std::array<Entry, capacity> entries_;
  core::Counter overflow_;
};

}  // namespace sluice::metrics
