// Opens after failures, and closes after probes.
#include "proxy/upstream/circuit_breaker.h"

namespace sluice::proxy {

bool CircuitBreaker::admit(const config::Circuit& rules, core::Instant now) {
  if (rules.failure_percent == 0) return true;
  if (state_ == State::open && now >= open_until_) {
    become(State::half_open);
    next_probe_at_ = now;
    successes_ = 0;
  }
  if (state_ == State::closed) return true;
  if (state_ == State::open || now < next_probe_at_) return false;
  next_probe_at_ = now + rules.open_time;
  return true;
}

void CircuitBreaker::note(const config::Circuit& rules, Outcome outcome, core::Instant now) {
  if (rules.failure_percent == 0) return;
  if (state_ == State::half_open) {
    next_probe_at_ = now;
    if (outcome == Outcome::failure) {
      open(rules, now);
    } else if (++successes_ >= rules.probes) {
      become(State::closed);
      window_ = {};
    }
    return;
  }
  if (state_ == State::open) return;  // began before it opened
  const int64_t number = now.time_since_epoch() / (rules.window / slices);
  Slice& slice = window_[static_cast<size_t>(number % slices)];
  if (slice.number != number) slice = {.number = number};
  ++slice.requests;
  if (outcome == Outcome::success) return;
  ++slice.failures;
  uint64_t requests = 0;
  uint64_t failures = 0;
  for (const Slice& one : window_) {
    if (one.number <= number - slices) continue;
    requests += one.requests;
    failures += one.failures;
  }
  if (requests >= rules.requests_min && failures * 100 >= requests * rules.failure_percent)
    open(rules, now);
}

void CircuitBreaker::open(const config::Circuit& rules, core::Instant now) {
  become(State::open);
  opened.add();
  open_until_ = now + rules.open_time;
}

}  // namespace sluice::proxy
