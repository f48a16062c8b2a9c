// What /metrics says: the sum over cores, taken when it is asked for. Runs on an offload thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "gateway/generation.h"
#include "gateway/key_keeper.h"
#include "metrics/log_ring.h"
#include "metrics/log_writer.h"
#include "proxy/worker.h"

namespace sluice::gateway {

// How new connections find their core; written by the control thread.
struct SteeringState {
  core::Counter by_address;  // 1 or 0
  core::Counter imbalance;   // of requests in the last second, in billionths
};

// How changing the configuration went; written by the control thread.
struct ConfigState {
  core::Counter reloads;
  core::Counter failures;
  core::Counter is_stale;     // 1: what is in the file is not what runs
  core::Counter loaded_at_s;  // since 1970
  core::Counter generations;  // alive
};

struct MetricsSources {
  std::vector<const proxy::Worker*> workers;
  std::vector<const auth::AuthCounters*> auth;  // of each worker
  Registry* registry = nullptr;
  std::vector<const metrics::LogRing*> log_rings;
  const metrics::LogWriter* log_writer = nullptr;
  const SteeringState* steering = nullptr;
  const KeyKeeper* keys = nullptr;
  const ConfigState* config = nullptr;
  core::WallTime started_at{};

  // One number, over all workers: `read` gets it from one.
  template <typename Read>
  [[nodiscard]] uint64_t sum(Read&& read) const {
    uint64_t total = 0;
    for (const proxy::Worker* worker : workers) total += read(*worker);
    return total;
  }
  [[nodiscard]] uint64_t sum(core::Counter proxy::Counters::*counter) const {
    return sum([&](const proxy::Worker& worker) { return (worker.counters().*counter).get(); });
  }
};

// Returns the size of the text, 0 if it does not fit.
[[nodiscard]] size_t render_metrics(const MetricsSources& sources, std::span<char> out);

}  // namespace sluice::gateway
