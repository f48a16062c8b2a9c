// A rate as an exact fraction, and the policy that a bucket applies. "10/s", "6000/min", "3/h",
// "1/day".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/clock.h"

namespace sluice::limiter {

// `requests` in `period_ns`, reduced: 6000/min is 1 in 10,000,000 ns.
struct Rate {
  uint64_t requests = 1;
  uint64_t period_ns = 1;
};

// What is wrong with a text, and what to write instead.
struct Complaint {
  std::string text;
};

// 1/day to 10,000,000/s; a unit is required.
[[nodiscard]] std::variant<Rate, Complaint> parse_rate(std::string_view text);

inline constexpr uint32_t burst_max = 1'000'000;

struct Policy {
  Rate rate;
  uint32_t burst = 0;  // requests above the rate that are let in: 0 to 1,000,000
  // Requests above the rate that pass at once, of the burst; the others are held. The configuration
  // has it as large as the burst unless it says otherwise.
  uint32_t delay = 0;
  core::Duration max_hold = std::chrono::seconds{10};
};

// How long the last of so many requests above `delay` is held, rounded up.
[[nodiscard]] core::Duration hold_time(const Policy& policy, uint64_t above_delay);
// How many requests above `delay` are let go within this time.
[[nodiscard]] uint64_t held_within(const Policy& policy, core::Duration time);

// Nothing if the policy can be kept exactly; otherwise what is wrong with it.
[[nodiscard]] std::optional<Complaint> check_policy(const Policy& policy);

}  // namespace sluice::limiter
