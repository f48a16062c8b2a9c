// Latencies with three significant digits or better, from 1 us to over an hour, in fixed memory:
// each power of two has 1,024 buckets of equal width (the scheme of HdrHistogram).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace sluice::bench {

class Histogram {
 public:
  Histogram() : buckets_(size_t{powers} * width) {}
  void record(uint64_t microseconds) {
    ++buckets_[index_of(microseconds)];
    ++count_;
    max_ = std::max(max_, microseconds);
  }
  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] uint64_t max() const { return max_; }
  // The least value that `share` (0 to 1) of all do not exceed; 0 if there are none.
  [[nodiscard]] uint64_t percentile(double share) const {
    const auto wanted = static_cast<uint64_t>(share * static_cast<double>(count_) + 0.5);
    uint64_t seen = 0;
    for (size_t index = 0; index < buckets_.size(); ++index) {
      seen += buckets_[index];
      if (seen >= wanted && seen > 0) return std::min(highest_of(index), max_);
    }
    return max_;
  }

 private:
  static constexpr unsigned bits = 10;
  static constexpr uint64_t width = 1 << bits;
  static constexpr unsigned powers = 24;
  // Below `width` a value is its own bucket; above, the leading eleven bits tell.
  static size_t index_of(uint64_t value) {
    const unsigned shift =
        value < width ? 0 : static_cast<unsigned>(std::bit_width(value)) - bits - 1;
    const size_t index =
        shift == 0 && value < width ? value : size_t{shift} * width + (value >> shift);
    return std::min(index, size_t{powers} * width - 1);
  }
  static uint64_t highest_of(size_t index) {
    if (index < 2 * width) return index;
    const auto shift = static_cast<unsigned>(index / width) - 1;
    return ((width + index % width + 1) << shift) - 1;
  }

  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace sluice::bench
