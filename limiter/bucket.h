// The leaky bucket, in exact integers.
//
//   excess = max(0, excess - rate * dt + 1);  refuse if excess > burst, and change nothing;
//   pass at once if excess <= delay, else hold for (excess - delay) / rate.
//
// With rate = n requests in p nanoseconds, the level is excess * p: it leaks n a nanosecond, and a request adds p. The
// first request of a key finds excess 0 and leaves it 0. 128 bits hold every policy that check_policy() lets pass.
#pragma once

#include <cstdint>

#include "core/clock.h"
#include "limiter/rate.h"

namespace sluice::limiter {

using Level = unsigned __int128;

struct Bucket {
  Level level = 0;
  core::Instant since{};
};

struct Decision {
  enum class Kind : uint8_t { pass, hold, refuse };
  Kind kind = Kind::pass;
  core::Duration wait{};  // hold: until its turn. refuse: until a request alone with its key passes.
};

// Nanoseconds until `level` has leaked, rounded up.
[[nodiscard]] inline core::Duration leak_time(const Rate& rate, Level level) {
  return core::Duration{static_cast<core::Duration::rep>((level + rate.requests - 1) / rate.requests)};
}

[[nodiscard]] inline Level leaked(const Rate& rate, const Bucket& bucket, core::Instant now) {
  // Time given by different cores may run backwards by a little; the bucket does not fill because of it.
  return now <= bucket.since ? Level{0} : Level{static_cast<uint64_t>((now - bucket.since).count())} * rate.requests;
}

// Nothing is forgotten with this bucket: the next request would find excess 0 either way.
[[nodiscard]] inline bool is_drained(const Rate& rate, const Bucket& bucket, core::Instant now) {
  return leaked(rate, bucket, now) >= bucket.level + rate.period_ns;
}

// Decides about one more request of a key that has a bucket, and charges it unless it is refused.
[[nodiscard]] inline Decision charge(const Policy& policy, Bucket& bucket, core::Instant now) {
  const Level filled = bucket.level + policy.rate.period_ns;
  const Level leak = leaked(policy.rate, bucket, now);
  const Level level = filled > leak ? filled - leak : Level{0};
  const Level burst = Level{policy.burst} * policy.rate.period_ns;
  if (level > burst) return {Decision::Kind::refuse, leak_time(policy.rate, level - burst)};
  const Level delay = Level{policy.delay} * policy.rate.period_ns;
  const core::Duration wait = level > delay ? leak_time(policy.rate, level - delay) : core::Duration{0};
  // Refused uncharged: nobody waits that long. It would pass once enough has leaked for the hold to be short enough.
  if (wait > policy.hold_max) return {Decision::Kind::refuse, wait - policy.hold_max};
  bucket.level = level;
  if (now > bucket.since) bucket.since = now;
  return wait > core::Duration{0} ? Decision{Decision::Kind::hold, wait} : Decision{};
}

// Charges the first request of a key.
[[nodiscard]] inline Bucket first_charge(core::Instant now) { return {0, now}; }

}  // namespace sluice::limiter
