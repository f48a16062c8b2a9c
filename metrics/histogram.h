// A latency histogram with fixed bounds: one increment to record, summed over cores when it is
// read.
#pragma once

#include <array>
#include <cstdint>

#include "core/clock.h"
#include "core/counter.h"

namespace sluice::metrics {

class Histogram {
 public:
  // Upper bounds in nanoseconds; the last bucket has none.
  static constexpr std::array<int64_t, 16> bounds_ns{
      100'000,       250'000,       500'000,       1'000'000,     2'500'000,   5'000'000,
      10'000'000,    25'000'000,    50'000'000,    100'000'000,   250'000'000, 500'000'000,
      1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};

  void record(core::Duration duration) {
    size_t bucket = 0;
    while (bucket < bounds_ns.size() && duration.count() > bounds_ns[bucket]) ++bucket;
    buckets_[bucket].add();
    sum_ns_.add(static_cast<uint64_t>(duration.count() > 0 ? duration.count() : 0));
  }

  [[nodiscard]] uint64_t bucket(size_t index) const { return buckets_[index].get(); }
  [[nodiscard]] uint64_t sum_ns() const { return sum_ns_.get(); }
  static constexpr size_t buckets = bounds_ns.size() + 1;

 private:
  std::array<core::Counter, buckets> buckets_;
  core::Counter sum_ns_;
};

}  // namespace sluice::metrics
