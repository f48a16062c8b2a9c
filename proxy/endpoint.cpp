#include "proxy/endpoint.h"

#include <algorithm>

#include "proxy/upstream.h"

namespace sluice::proxy {

namespace {

// What an endpoint shows about its idle connections holds for so long.
constexpr core::Duration learnt_time = std::chrono::minutes{1};
// Closed sooner than this after an answer: keeping them is of no use.
constexpr core::Duration idle_min = std::chrono::milliseconds{100};
constexpr uint32_t closed_at_once_max = 3;

}  // namespace

bool Endpoint::note(Outcome outcome, const config::Ejection& rules, core::Instant now) {
  requests.add();
  if (outcome == Outcome::success) {
    failures_in_a_row_ = 0;
    // As long again as it was ejected, and all is forgiven.
    if (ejected_times_ > 0 && now > ejected_until_ + rules.time * ejected_times_) ejected_times_ = 0;
    return false;
  }
  failures.add();
  ++failures_in_a_row_;
  return rules.failures != 0 && failures_in_a_row_ >= rules.failures && !is_ejected(now);
}

void Endpoint::eject(const config::Ejection& rules, core::Instant now) {
  ++ejected_times_;
  failures_in_a_row_ = 0;
  ejections.add();
  ejected_until_ = now + std::min(rules.time * ejected_times_, rules.time_max);
}

void Endpoint::learn_idle_limit(core::Duration age, core::Instant now) {
  // Once may be a restart; an endpoint that always does it is better asked on new connections.
  if (age < idle_min && ++closed_at_once_ < closed_at_once_max) return;
  const core::Duration limit = age < idle_min ? core::Duration{0} : age - age / 4;
  learnt_idle_limit_ = now < learnt_until_ ? std::min(learnt_idle_limit_, limit) : limit;
  learnt_until_ = now + learnt_time;
}

core::Duration Endpoint::idle_limit(core::Duration configured, core::Instant now) const {
  return now < learnt_until_ ? std::min(configured, learnt_idle_limit_) : configured;
}

EndpointRecord::EndpointRecord(std::shared_ptr<UpstreamRecord> of, const config::EndpointConfig& config, uint16_t number)
    : upstream(std::move(of)), authority(config.authority), destination(config.destination), label(number) {
  for (const auto& core : upstream->cores) cores.push_back(std::make_unique<Endpoint>(destination, health, *core, label));
}

uint64_t EndpointRecord::open() const {
  uint64_t sum = 0;
  for (const auto& core : cores) sum += core->open();
  return sum;
}

}  // namespace sluice::proxy
