// Builds a generation from a configuration and counts who uses it.
#include "gateway/generation.h"

#include <algorithm>
#include <utility>

namespace sluice::gateway {

// --- what outlives configurations ------------------------------------------------------------

std::shared_ptr<Upstream> Registry::upstream(const std::string& name) {
  const std::lock_guard lock{mutex_};
  auto& record = upstreams_[name];
  if (record == nullptr)
    record = std::make_shared<Upstream>(name, workers_, labels_.upstreams.number_of(name));
  return record;
}

void Registry::sweep() {
  const std::lock_guard lock{mutex_};
  std::erase_if(endpoints_, [](const auto& entry) {
    return entry.second.use_count() == 1 && entry.second->open() == 0;
  });
  std::erase_if(upstreams_, [](const auto& entry) { return entry.second.use_count() == 1; });
}

// --- one configuration -----------------------------------------------------------------------

Generation::Generation(Registry& registry, config::Config config, uint64_t seed)
    : registry_(registry), config_(std::move(config)), routes_(config_.routes), seed_(seed) {
  proxy::Labels& labels = registry.labels();
  for (config::Route& route : config_.routes) route.label = labels.routes.number_of(route.name);
  for (size_t index = 0; index < config_.limits.size(); ++index) {
    config::NamedLimit& limit = config_.limits[index];
    const bool is_rate = config_.limit_rules[index].kind == limiter::Limit::Kind::bucket;
    limit.number = labels.limits.number_of(limit.name, is_rate ? "rate" : "concurrent");
    if (limit.number == proxy::NameTable::none) {
      complaint_ = "limits: more than " + std::to_string(config::limits_max) +
                   " names of limits since the start; their counters live as long as the process, "
                   "which must start anew";
    }
  }
  for (const config::UpstreamConfig& upstream : config_.upstreams) {
    upstreams_.push_back(registry.upstream(upstream.name));
    auto& endpoints = endpoints_.emplace_back();
    for (const config::EndpointConfig& endpoint : upstream.endpoints) {
      if (endpoint.has_address())
        endpoints.push_back(
            registry.endpoint(upstreams_.back(), endpoint, upstream.tls, complaint_));
    }
  }
  make_servers(registry);
}

Generation::~Generation() = default;

void Generation::make_cores(const GenerationKeys& keys,
                            std::span<auth::AuthCounters* const> counters) {
  for (uint32_t worker = 0; worker < counters.size(); ++worker) {
    cores_.push_back(std::make_unique<proxy::CoreGeneration>(config_, routes_, keys.first,
                                                             keys.wish, *counters[worker], seed_));
    if (!servers_.empty()) cores_.back()->set_servers(std::move(servers_[worker]));
    for (size_t index = 0; index < config_.upstreams.size(); ++index) {
      const config::UpstreamConfig& upstream = config_.upstreams[index];
      proxy::UpstreamPlan& plan =
          cores_.back()->upstreams().emplace_back(upstream, *upstreams_[index]->cores[worker]);
      size_t place = 0;
      for (const config::EndpointConfig& endpoint : upstream.endpoints) {
        if (endpoint.has_address()) plan.add(*endpoints_[index][place++]->cores[worker], endpoint);
      }
    }
    cores_.back()->complete();
  }
}

void Generation::take_effect() {
  for (size_t index = 0; index < config_.upstreams.size(); ++index)
    upstreams_[index]->permits.set_most(config_.upstreams[index].connections);
  registry_.note_certificates(config_);
}

bool Generation::has_acknowledged_keys(uint64_t sequence) const {
  return std::all_of(cores_.begin(), cores_.end(),
                     [&](const auto& core) { return core->keys_acknowledged() >= sequence; });
}

bool Generation::is_released() const {
  return std::all_of(cores_.begin(), cores_.end(),
                     [](const auto& core) { return core->is_released(); });
}

}  // namespace sluice::gateway
