// Parses rates and checks policies for what cannot be represented.
#include "limiter/rate.h"

#include <charconv>
#include <numeric>

namespace sluice::limiter {

namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint64_t day_ns = 86'400 * second_ns;
constexpr uint64_t rate_max_per_second = 10'000'000;
constexpr uint64_t century_ns = 36'525 * day_ns;

uint64_t unit_ns(std::string_view unit) {
  if (unit == "s" || unit == "sec" || unit == "second") return second_ns;
  if (unit == "m" || unit == "min" || unit == "minute") return 60 * second_ns;
  if (unit == "h" || unit == "hour") return 3600 * second_ns;
  if (unit == "d" || unit == "day") return day_ns;
  return 0;
}

}  // namespace

std::variant<Rate, Complaint> parse_rate(std::string_view text) {
  const auto complain = [&](std::string_view why) {
    return Complaint{"rate \"" + std::string{text} + "\" " + std::string{why} +
                     "; write for example 10/s, 600/min, 5/h or 1/day"};
  };
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return complain("has no unit");
  uint64_t requests = 0;
  const auto number = text.substr(0, slash);
  const auto [end, failure] =
      std::from_chars(number.data(), number.data() + number.size(), requests);
  if (failure != std::errc{} || end != number.data() + number.size())
    return complain("does not begin with a whole number");
  const uint64_t period = unit_ns(text.substr(slash + 1));
  if (period == 0) return complain("has an unknown unit");
  if (requests == 0) return complain("lets nothing through");
  if (requests > rate_max_per_second * (period / second_ns)) return complain("is above 10000000/s");
  const uint64_t divisor = std::gcd(requests, period);
  return Rate{requests / divisor, period / divisor};
}

core::Duration hold_time(const Policy& policy, uint64_t above_delay) {
  using Wide = unsigned __int128;
  const Wide level = Wide{above_delay} * policy.rate.period_ns;
  return core::Duration{
      static_cast<core::Duration::rep>((level + policy.rate.requests - 1) / policy.rate.requests)};
}

uint64_t held_within(const Policy& policy, core::Duration time) {
  using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide{static_cast<uint64_t>(time.count())} * policy.rate.requests /
                               policy.rate.period_ns);
}

std::optional<Complaint> check_policy(const Policy& policy) {
  if (policy.burst > burst_max)
    return Complaint{"burst " + std::to_string(policy.burst) + " is above 1000000"};
  if (policy.delay > policy.burst) {
    return Complaint{"delay " + std::to_string(policy.delay) + " is above burst " +
                     std::to_string(policy.burst) +
                     "; it says how much of the burst passes at once"};
  }
  using Wide = unsigned __int128;
  if (Wide{policy.burst} * policy.rate.period_ns > Wide{century_ns} * policy.rate.requests) {
    return Complaint{"burst " + std::to_string(policy.burst) +
                     " would take over 100 years to drain at this rate"};
  }
  return std::nullopt;
}

}  // namespace sluice::limiter
