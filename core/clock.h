// Time. Nothing in Sluice reads a clock but the kernel seam; everything else is told what time it
// is.
#pragma once

#include <chrono>

namespace sluice::core {

using Duration = std::chrono::nanoseconds;

// CLOCK_MONOTONIC, as the worker's kernel reports it (virtual under the simulated kernel).
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock, duration>;
  static constexpr bool is_steady = true;
};

using Instant = MonotonicClock::time_point;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

inline constexpr Duration forever = Duration::max();

}  // namespace sluice::core
