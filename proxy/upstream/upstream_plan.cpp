// Which endpoint a request goes to.
#include <xxhash.h>

#include <algorithm>

#include "proxy/upstream/core_upstream.h"

namespace sluice::proxy {

namespace {

// Points on the ring for a weight of one: with so many, shares differ by a tenth or so.
constexpr uint32_t points_a_weight = 160;
constexpr size_t points_max = 64 * 1024;
constexpr int64_t whole = 100;
constexpr int64_t slow_start_share = 10;  // of `whole`, to begin with

}  // namespace

void UpstreamPlan::add(CoreEndpoint& endpoint, const config::EndpointConfig& config) {
  choices_.push_back({.endpoint = &endpoint, .weight = config.weight, .use = config.use});
}

void UpstreamPlan::complete() {
  if (config_->balance != config::Balance::hash) return;
  uint64_t weights = 0;
  for (const Choice& choice : choices_) weights += choice.weight;
  const uint64_t points = std::max<uint64_t>(
      1, std::min<uint64_t>(points_a_weight, points_max / std::max<uint64_t>(1, weights)));
  for (uint32_t index = 0; index < choices_.size(); ++index) {
    // By what it is called and not by its place in the list: whoever comes or goes moves no one
    // else.
    const std::string name = choices_[index].endpoint->destination().text();
    for (uint64_t point = 0; point < points * choices_[index].weight; ++point) {
      points_.push_back({XXH3_64bits_withSeed(name.data(), name.size(), point), index});
    }
  }
  std::sort(points_.begin(), points_.end(),
            [](const Point& a, const Point& b) { return a.hash < b.hash; });
}

bool UpstreamPlan::has(const CoreEndpoint& endpoint) const {
  return std::any_of(choices_.begin(), choices_.end(),
                     [&](const Choice& choice) { return choice.endpoint == &endpoint; });
}

bool UpstreamPlan::may_be_used(const Choice& choice, core::Instant now) const {
  return choice.use == config::EndpointUse::serving && !choice.endpoint->health().is_down() &&
         !choice.endpoint->is_ejected(now);
}

// In hundredths, less while it starts slowly.
int64_t UpstreamPlan::weight_of(const Choice& choice, core::Instant now) const {
  const int64_t full = whole * choice.weight;
  const int64_t since = choice.endpoint->health().up_since_ns.load(std::memory_order_relaxed);
  if (since == 0 || config_->slow_start <= core::Duration{0}) return full;
  const core::Duration up = now.time_since_epoch() - core::Duration{since};
  if (up >= config_->slow_start) return full;
  const int64_t share = slow_start_share + (whole - slow_start_share) *
                                               std::max<int64_t>(0, up.count()) /
                                               config_->slow_start.count();
  return std::max<int64_t>(1, full * share / whole);
}

CoreEndpoint* UpstreamPlan::choose(core::Instant now, core::Random& random, uint64_t key,
                                   const CoreEndpoint* except) {
  if (choices_.size() == 1)
    return may_be_used(choices_.front(), now) ? choices_.front().endpoint : nullptr;
  const auto by_rule = [&](const CoreEndpoint* without) -> CoreEndpoint* {
    switch (config_->balance) {
      case config::Balance::round_robin: return next_in_turn(now, without);
      case config::Balance::least_requests: return better_of_two(now, random, without);
      case config::Balance::hash: return at_point(now, key, without);
    }
    SLUICE_UNREACHABLE();
  };
  if (CoreEndpoint* endpoint = by_rule(except); endpoint != nullptr || except == nullptr)
    return endpoint;
  return by_rule(nullptr);
}

// Everybody earns his weight, the richest is next and pays for it: in each round all get their
// share, and well mixed.
CoreEndpoint* UpstreamPlan::next_in_turn(core::Instant now, const CoreEndpoint* except) {
  Choice* richest = nullptr;
  int64_t earned = 0;
  for (Choice& choice : choices_) {
    if (choice.endpoint == except || !may_be_used(choice, now)) continue;
    const int64_t weight = weight_of(choice, now);
    choice.credit += weight;
    earned += weight;
    if (richest == nullptr || choice.credit > richest->credit) richest = &choice;
  }
  if (richest == nullptr) return nullptr;
  richest->credit -= earned;
  return richest->endpoint;
}

// Two are drawn by weight; the one with less to do for its weight gets it.
CoreEndpoint* UpstreamPlan::better_of_two(core::Instant now, core::Random& random,
                                          const CoreEndpoint* except) {
  int64_t weights = 0;
  for (const Choice& choice : choices_) {
    if (choice.endpoint != except && may_be_used(choice, now)) weights += weight_of(choice, now);
  }
  if (weights == 0) return nullptr;
  const auto draw = [&]() -> const Choice* {
    auto left = static_cast<int64_t>(random.below(static_cast<uint64_t>(weights)));
    for (const Choice& choice : choices_) {
      if (choice.endpoint == except || !may_be_used(choice, now)) continue;
      left -= weight_of(choice, now);
      if (left < 0) return &choice;
    }
    SLUICE_UNREACHABLE();
  };
  const Choice* one = draw();
  const Choice* other = draw();
  const int64_t load_of_one = int64_t{one->endpoint->in_use() + 1} * weight_of(*other, now);
  const int64_t load_of_other = int64_t{other->endpoint->in_use() + 1} * weight_of(*one, now);
  return (load_of_one <= load_of_other ? one : other)->endpoint;
}

// The first usable one from the key's place on.
CoreEndpoint* UpstreamPlan::at_point(core::Instant now, uint64_t key, const CoreEndpoint* except) {
  const auto begin =
      std::lower_bound(points_.begin(), points_.end(), key,
                       [](const Point& point, uint64_t hash) { return point.hash < hash; });
  auto index = static_cast<size_t>(begin - points_.begin());
  for (size_t step = 0; step < points_.size(); ++step, ++index) {
    const Choice& choice = choices_[points_[index % points_.size()].choice];
    if (choice.endpoint != except && may_be_used(choice, now)) return choice.endpoint;
  }
  return nullptr;
}

void UpstreamPlan::note(CoreEndpoint& endpoint, Outcome outcome, core::Instant now) {
  upstream_->circuit().note(config_->circuit, outcome, now);
  if (!endpoint.note(outcome, config_->ejection, now)) return;
  // Never more than half: rather a bad answer than none.
  const auto ejected = std::count_if(choices_.begin(), choices_.end(), [&](const Choice& choice) {
    return choice.endpoint->is_ejected(now);
  });
  if (2 * (static_cast<size_t>(ejected) + 1) <= choices_.size())
    endpoint.eject(config_->ejection, now);
}

}  // namespace sluice::proxy
