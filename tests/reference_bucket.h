// The formula of the leaky bucket as it is written down, in exact rational arithmetic, beside which
// the real one is put:
//   excess = max(0, excess - rate * dt + 1); refuse above burst, and change nothing; up to delay
//   pass at once, else hold for (excess - delay) / rate; nobody is held longer than max_hold, or
//   beyond what the request itself allows.
// It shares no code with limiter/bucket.h. Excess is counted in units of 1/period_ns of a request.
#pragma once

#include "limiter/limit.h"

namespace sluice::tests {

class ReferenceBucket {
 public:
  explicit ReferenceBucket(const limiter::Policy& policy)
      : policy_(policy), one_(policy.rate.period_ns) {}

  // What one more request would be told.
  [[nodiscard]] limiter::Decision decide(core::Instant now, limiter::HoldLimit hold) const {
    using Kind = limiter::Decision::Kind;
    const Exact excess = next_excess(now) + reserved_ * one_;
    if (excess > Exact{policy_.burst} * one_) return {Kind::refuse, {}};
    const Exact above = excess - Exact{policy_.delay} * one_;
    if (above <= 0) return {};
    const core::Duration wait{
        static_cast<int64_t>((above + policy_.rate.requests - 1) / policy_.rate.requests)};
    if (wait > policy_.max_hold || now + wait > hold.until) return {Kind::refuse, {}};
    return {Kind::hold, wait};
  }
  void charge(core::Instant now) {
    excess_ = next_excess(now);
    last_ = now;
    seen_ = true;
  }
  void reserve() { ++reserved_; }
  void unreserve() { --reserved_; }
  [[nodiscard]] int64_t reserved() const { return static_cast<int64_t>(reserved_); }

 private:
  using Exact = __int128;
  [[nodiscard]] Exact next_excess(core::Instant now) const {
    if (!seen_) return 0;
    const Exact excess = excess_ - Exact{policy_.rate.requests} * (now - last_).count() + one_;
    return excess > 0 ? excess : 0;
  }

  limiter::Policy policy_;
  Exact one_;
  bool seen_ = false;
  Exact excess_ = 0;
  Exact reserved_ = 0;
  core::Instant last_{};
};

}  // namespace sluice::tests
