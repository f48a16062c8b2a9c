// One endpoint as one core sees it.
#include "proxy/upstream/core_endpoint.h"

#include <algorithm>

namespace sluice::proxy {

namespace {

// What an endpoint shows about its idle connections holds for so long.
constexpr core::Duration learnt_time = std::chrono::minutes{1};
// Closed sooner than this after an answer: keeping them is of no use.
constexpr core::Duration idle_min = std::chrono::milliseconds{100};
constexpr uint32_t closed_at_once_max = 3;

}  // namespace

bool CoreEndpoint::note(Outcome outcome, const config::Ejection& rules, core::Instant now) {
  constexpr auto relaxed = std::memory_order_relaxed;
  requests.add();
  if (outcome == Outcome::success) {
    // Nearly always there is nothing to write, and nothing that other cores would lose.
    if (health_.failures_in_a_row.load(relaxed) != 0) health_.failures_in_a_row.store(0, relaxed);
    const uint32_t times = health_.ejected_times.load(relaxed);
    if (times == 0) return false;
    // As long again as it was ejected, and all is forgiven.
    const auto until = core::Instant{core::Duration{health_.ejected_until_ns.load(relaxed)}};
    if (now > until + rules.time * times) health_.ejected_times.store(0, relaxed);
    return false;
  }
  failures.add();
  const uint32_t in_a_row = health_.failures_in_a_row.fetch_add(1, relaxed) + 1;
  return rules.failures != 0 && in_a_row >= rules.failures && !is_ejected(now);
}

// Of several cores that find it one too many at once, one ejects it.
void CoreEndpoint::eject(const config::Ejection& rules, core::Instant now) {
  constexpr auto relaxed = std::memory_order_relaxed;
  int64_t until = health_.ejected_until_ns.load(relaxed);
  if (now.time_since_epoch().count() < until) return;
  const uint32_t times = health_.ejected_times.load(relaxed) + 1;
  const core::Instant next = now + std::min(rules.time * times, rules.time_max);
  if (!health_.ejected_until_ns.compare_exchange_strong(until, next.time_since_epoch().count(),
                                                        std::memory_order_acq_rel))
    return;
  health_.ejected_times.store(times, relaxed);
  health_.failures_in_a_row.store(0, relaxed);
  ejections.add();
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
