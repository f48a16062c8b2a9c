#include "proxy/generation.h"

#include <algorithm>
#include <utility>

#include "proxy/exchange.h"
#include "proxy/key_keeper.h"

namespace sluice::proxy {

// --- what outlives configurations --------------------------------------------------------------------------------------------

std::shared_ptr<UpstreamRecord> Registry::upstream(const std::string& name) {
  const std::lock_guard lock{mutex_};
  auto& record = upstreams_[name];
  if (record == nullptr) record = std::make_shared<UpstreamRecord>(name, workers_, labels_.upstreams.number_of(name));
  return record;
}

std::shared_ptr<EndpointRecord> Registry::endpoint(const std::shared_ptr<UpstreamRecord>& of, const config::EndpointConfig& config) {
  const std::lock_guard lock{mutex_};
  const std::string text = config.destination.text();
  auto& record = endpoints_[of->name + " " + config.authority + " " + text];
  if (record == nullptr) {
    const std::string label = config.authority == text || config.destination.is_unix() ? text : config.authority + " " + text;
    record = std::make_shared<EndpointRecord>(of, config, labels_.endpoints.number_of(label));
  }
  return record;
}

void Registry::sweep() {
  const std::lock_guard lock{mutex_};
  std::erase_if(endpoints_, [](const auto& entry) { return entry.second.use_count() == 1 && entry.second->open() == 0; });
  std::erase_if(upstreams_, [](const auto& entry) { return entry.second.use_count() == 1; });
}

// --- one core's part -----------------------------------------------------------------------------------------------------------

Share::Share(const config::Config& config, const config::RouteTable& routes, const auth::KeySnapshot& keys, KeyKeeper* keeper, auth::AuthCounters& counters,
             uint64_t seed)
    : config_(config),
      routes_(routes),
      authenticator_({.verifier = {.providers = config.providers, .claims = config.claims, .requirements = config.requirements},
                      .cache_entries = config.bounds.token_cache_entries,
                      .seed = seed,
                      .counters = &counters}),
      keeper_(keeper),
      keys_(&keys) {
  authenticator_.adopt(keys);
  message_.share = this;
}

void Share::let_go() {
  SLUICE_DEBUG_ASSERT(users_ > 0);
  --users_;
  release_if_unused();
}

void Share::retire() {
  is_retired_ = true;
  release_if_unused();
}

// Nothing of it is touched by its worker afterwards.
void Share::release_if_unused() {
  if (is_retired_ && users_ == 0 && signatures_out_ == 0 && old_signatures_out_ == 0) released_.store(true, std::memory_order_release);
}

// The keeper sends the next message only when this one is acknowledged: at most two snapshots are in use.
void Share::adopt_keys(const auth::KeySnapshot& snapshot, uint64_t sequence) {
  SLUICE_ASSERT(old_signatures_out_ == 0);
  keys_sequence_ = sequence;
  if (&snapshot != keys_) {
    keys_ = &snapshot;
    old_signatures_out_ = std::exchange(signatures_out_, 0);
    authenticator_.adopt(snapshot);
  }
  acknowledge_keys();
}

void Share::acknowledge_keys() {
  if (old_signatures_out_ == 0) keys_acknowledged_.store(keys_sequence_, std::memory_order_release);
}

void Share::note_signature_back(uint64_t generation) {
  if (generation == keys_->generation) {
    --signatures_out_;
  } else {
    --old_signatures_out_;
    acknowledge_keys();
  }
  release_if_unused();
}

void Share::complete() {
  for (UpstreamPlan& plan : upstreams_) {
    plan.complete();
    if (plan.config().connections != 0) capped_.push_back(&plan);
  }
}

void Share::stop_waiting_for_keys(Exchange& exchange) { core::IntrusiveList<Exchange, KeyWaitTag>::remove(exchange); }

bool Share::wait_for_keys(Exchange& exchange) {
  if (keeper_ == nullptr) return false;
  if (key_waiters_.empty()) keeper_->want();
  key_waiters_.push_back(exchange);
  return true;
}

// --- one configuration -----------------------------------------------------------------------------------------------------------

Generation::Generation(Registry& registry, config::Config config, uint64_t seed)
    : config_(std::move(config)), routes_(config_.routes), seed_(seed) {
  Labels& labels = registry.labels();
  for (config::Route& route : config_.routes) route.label = labels.routes.number_of(route.name);
  for (size_t index = 0; index < config_.limits.size(); ++index) {
    config::NamedLimit& limit = config_.limits[index];
    const bool is_rate = config_.limit_rules[index].kind == limiter::Limit::Kind::bucket;
    limit.number = labels.limits.number_of(limit.name, is_rate ? "rate" : "concurrent");
    if (limit.number == NameTable::none) {
      complaint_ = "limits: more than " + std::to_string(config::limits_max) +
                   " names of limits since the start; their counters live as long as the process, which must start anew";
    }
  }
  for (const config::UpstreamConfig& upstream : config_.upstreams) {
    upstreams_.push_back(registry.upstream(upstream.name));
    auto& endpoints = endpoints_.emplace_back();
    for (const config::EndpointConfig& endpoint : upstream.endpoints) endpoints.push_back(registry.endpoint(upstreams_.back(), endpoint));
  }
}

Generation::~Generation() = default;

void Generation::make_shares(const GenerationKeys& keys, std::span<auth::AuthCounters* const> counters) {
  for (size_t index = 0; index < config_.upstreams.size(); ++index)
    upstreams_[index]->permits.set_most(config_.upstreams[index].connections);
  for (uint32_t worker = 0; worker < counters.size(); ++worker) {
    shares_.push_back(std::make_unique<Share>(config_, routes_, keys.first, keys.keeper, *counters[worker], seed_));
    for (size_t index = 0; index < config_.upstreams.size(); ++index) {
      const config::UpstreamConfig& upstream = config_.upstreams[index];
      UpstreamPlan& plan = shares_.back()->upstreams().emplace_back(upstream, *upstreams_[index]->cores[worker]);
      for (size_t endpoint = 0; endpoint < upstream.endpoints.size(); ++endpoint) {
        plan.add(*endpoints_[index][endpoint]->cores[worker], upstream.endpoints[endpoint]);
      }
    }
    shares_.back()->complete();
  }
}

bool Generation::has_acknowledged_keys(uint64_t sequence) const {
  return std::all_of(shares_.begin(), shares_.end(), [&](const auto& share) { return share->keys_acknowledged() >= sequence; });
}

bool Generation::is_released() const {
  return std::all_of(shares_.begin(), shares_.end(), [](const auto& share) { return share->is_released(); });
}

}  // namespace sluice::proxy
