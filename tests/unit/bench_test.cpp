// What measures must be right as well.
#include <gtest/gtest.h>

#include "bench/histogram.h"
#include "core/random.h"

namespace sluice::bench {
namespace {

TEST(Histogram, percentiles_are_within_a_thousandth) {
  core::Random random{9};
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(random.below(uint64_t{1} << (1 + random.below(31))));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.001, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0}) {
    const auto exact = static_cast<double>(
        values[static_cast<size_t>(share * static_cast<double>(values.size()) + 0.5) - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(share)), exact, exact / 1000 + 0.5)
        << share;
  }
  EXPECT_EQ(histogram.count(), 100'000U);
  EXPECT_EQ(histogram.max(), values.back());
  EXPECT_EQ(Histogram{}.percentile(0.5), 0U);
}

TEST(Histogram, small_values_are_exact) {
  for (uint64_t value = 0; value < 2048; ++value) {
    Histogram histogram;
    histogram.record(value);
    histogram.record(1'000'000);
    EXPECT_EQ(histogram.percentile(0.5), value);
  }
}

}  // namespace
}  // namespace sluice::bench
