// The leaky bucket, in exact integers.
//
//   excess = max(0, excess - rate * dt + 1);  refuse if excess > burst, and change nothing;
//   pass at once if excess <= delay, else hold for (excess - delay) / rate.
//
// With rate = n requests in p nanoseconds, `level` is (excess + 1) * p as of `since`, and never
// below 0: what the next request finds as its excess is what is left of the level by then. So the
// level leaks n a nanosecond, every request that is let in adds exactly p, and what a request added
// is taken back by subtracting p. 72 bits hold every policy that check_policy() lets pass.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/clock.h"
#include "limiter/rate.h"

namespace sluice::limiter {

using Level = unsigned __int128;

struct Bucket {
  Level level = 0;
  core::Instant since{};
  uint32_t reserved =
      0;  // requests that are let in here, and wait for what other cores say of their other keys
};

struct Decision {
  enum class Kind : uint8_t { pass, hold, refuse };
  Kind kind = Kind::pass;
  core::Duration
      wait{};  // hold: until its turn. refuse: until a request alone with its key passes.
};

// Whether a request has one of the places for those that are held back.
enum class Holding : uint8_t { allowed, full };

// Until when a request may be held back: who would have to wait longer is refused instead.
struct HoldLimit {
  core::Instant until = core::Instant::max();
};
inline constexpr HoldLimit no_hold{core::Instant::min()};

// Levels seldom need more than 64 bits, which are divided several times as fast.
[[nodiscard]] inline Level divided(Level level, uint64_t by) {
  return level >> 64 == 0 ? Level{static_cast<uint64_t>(level) / by} : level / by;
}

// Nanoseconds until `level` has leaked, rounded up.
[[nodiscard]] inline core::Duration leak_time(const Rate& rate, Level level) {
  return core::Duration{
      static_cast<core::Duration::rep>(divided(level + rate.requests - 1, rate.requests))};
}

// What is left of the level at `now`. Time told by different clocks may run backwards; nothing
// leaks because of it.
[[nodiscard]] inline Level level_at(const Rate& rate, const Bucket& bucket, core::Instant now) {
  if (now <= bucket.since) return bucket.level;
  const Level leak = Level{static_cast<uint64_t>((now - bucket.since).count())} * rate.requests;
  return bucket.level > leak ? bucket.level - leak : Level{0};
}

// Nothing is forgotten with this bucket: the next request would find excess 0 either way.
[[nodiscard]] inline bool is_drained(const Rate& rate, const Bucket& bucket, core::Instant now) {
  return bucket.reserved == 0 && level_at(rate, bucket, now) == 0;
}

// The highest level that one more request may find: up to the burst, and nobody is held longer than
// `longest`.
[[nodiscard]] inline Level most_let_in(const Policy& policy, core::Duration longest) {
  const Level burst = policy.burst * Level{policy.rate.period_ns};
  if (policy.delay == policy.burst) return burst;
  const Level held = Level{static_cast<uint64_t>(longest.count())} * policy.rate.requests;
  return std::min<Level>(burst, policy.delay * Level{policy.rate.period_ns} + held);
}

// What one more request would be told. Changes nothing.
[[nodiscard]] inline Decision judge(const Policy& policy, const Bucket& bucket, core::Instant now,
                                    HoldLimit hold) {
  const Level one = policy.rate.period_ns;
  const Level excess = level_at(policy.rate, bucket, now) + bucket.reserved * one;
  const core::Duration longest =
      hold.until <= now ? core::Duration{0} : std::min(policy.max_hold, hold.until - now);
  const Level most = most_let_in(policy, longest);
  if (excess > most) return {Decision::Kind::refuse, leak_time(policy.rate, excess - most)};
  const Level delay = policy.delay * one;
  if (excess <= delay) return {};
  return {Decision::Kind::hold, leak_time(policy.rate, excess - delay)};
}

// How many more requests would be let in at once, and when it is one more.
struct Left {
  uint32_t requests = 0;
  core::Duration more_in{};
  bool operator==(const Left&) const = default;
};
[[nodiscard]] inline Left left_in(const Policy& policy, const Bucket& bucket, core::Instant now) {
  const Level one = policy.rate.period_ns;
  const Level excess = level_at(policy.rate, bucket, now) + bucket.reserved * one;
  const Level most = most_let_in(policy, policy.max_hold);
  if (excess > most) return {0, leak_time(policy.rate, excess - most)};
  const Level requests = divided(most - excess, policy.rate.period_ns) + 1;
  return {static_cast<uint32_t>(requests), leak_time(policy.rate, excess + requests * one - most)};
}

// One request more.
inline void charge(const Rate& rate, Bucket& bucket, core::Instant now) {
  bucket.level = level_at(rate, bucket, now) + rate.period_ns;
  if (now > bucket.since) bucket.since = now;
}

// Takes back a charge that was made at this same `now`.
inline void uncharge(const Rate& rate, Bucket& bucket) { bucket.level -= rate.period_ns; }

}  // namespace sluice::limiter
