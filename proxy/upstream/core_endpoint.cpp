#include "proxy/upstream/core_endpoint.h"

#include <algorithm>

#include "proxy/upstream/core_upstream.h"

namespace sluice::proxy {

namespace {

// What an endpoint shows about its idle connections holds for so long.
constexpr core::Duration learnt_time = std::chrono::minutes{1};
// Closed sooner than this after an answer: keeping them is of no use.
constexpr core::Duration idle_min = std::chrono::milliseconds{100};
constexpr uint32_t closed_at_once_max = 3;

}  // namespace

bool CoreEndpoint::note(Outcome outcome, const config::Ejection& rules, core::Instant now) {
  requests.add();
  if (outcome == Outcome::success) {
    failures_in_a_row_ = 0;
    // As long again as it was ejected, and all is forgiven.
    if (ejected_times_ > 0 && now > ejected_until_ + rules.time * ejected_times_)
      ejected_times_ = 0;
    return false;
  }
  failures.add();
  ++failures_in_a_row_;
  return rules.failures != 0 && failures_in_a_row_ >= rules.failures && !is_ejected(now);
}

void CoreEndpoint::eject(const config::Ejection& rules, core::Instant now) {
  ++ejected_times_;
  failures_in_a_row_ = 0;
  ejections.add();
  ejected_until_ = now + std::min(rules.time * ejected_times_, rules.time_max);
}

void CoreEndpoint::learn_idle_limit(core::Duration age, core::Instant now) {
  // Once may be a restart; an endpoint that always does it is better asked on new connections.
  if (age < idle_min && ++closed_at_once_ < closed_at_once_max) return;
  const core::Duration limit = age < idle_min ? core::Duration{0} : age - age / 4;
  learnt_idle_limit_ = now < learnt_until_ ? std::min(learnt_idle_limit_, limit) : limit;
  learnt_until_ = now + learnt_time;
}

core::Duration CoreEndpoint::idle_limit(core::Duration configured, core::Instant now) const {
  return now < learnt_until_ ? std::min(configured, learnt_idle_limit_) : configured;
}

}  // namespace sluice::proxy
