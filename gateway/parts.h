// What a gateway is made of; only for its own files.
#pragma once

#include <barrier>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gateway/gateway.h"
#include "gateway/generation.h"
#include "gateway/health_checker.h"
#include "gateway/key_keeper.h"
#include "gateway/metrics_page.h"
#include "gateway/offload_pool.h"
#include "metrics/log_writer.h"
#include "proxy/worker.h"

namespace sluice::gateway {

struct ControlMessage : core::Message {};

// A generation and its keys, which live as long.
struct LiveGeneration {
  LiveGeneration() = default;
  ~LiveGeneration() {
    if (keys != nullptr) keys->retire();
  }
  LiveGeneration(const LiveGeneration&) = delete;
  LiveGeneration& operator=(const LiveGeneration&) = delete;
  std::unique_ptr<Generation> generation;
  std::shared_ptr<KeyView> keys;
  std::vector<proxy::KeysMessage> messages;  // one a worker
};

struct Gateway::Parts {
  explicit Parts(uint32_t count)
      : registry(count), kernels(count), workers(count), opened(count), prepared(count + 1) {}

  Registry registry;
  std::vector<std::unique_ptr<auth::AuthCounters>> auth_counters;
  ConfigState config_state;
  std::list<NextGeneration> generations;  // the newest last
  std::vector<ListenerSet> listeners;     // of the newest generation, in its order

  std::vector<std::unique_ptr<core::Postbox>> postboxes;
  std::vector<std::unique_ptr<core::Kernel>> kernels;
  std::vector<std::unique_ptr<proxy::Worker>> workers;
  std::vector<std::unique_ptr<metrics::LogRing>> log_rings;
  std::unique_ptr<metrics::LogWriter> log_writer;
  std::unique_ptr<OffloadPool> offload;
  HealthChecker health;
  KeyKeeper keeper;
  MetricsSources sources;
  SteeringState steering;
  limiter::SteeringJudge judge;
  std::vector<uint64_t> requests_seen;  // by worker, at the last look
  limiter::OwnershipSecrets ownership;

  std::barrier<> opened;    // every worker has its ring, or has said why not
  std::barrier<> prepared;  // every worker is ready, or has said why not; the control thread too
  std::vector<std::thread> threads;
  std::mutex mutex;  // of what follows; never taken while serving
  std::condition_variable drained_changed;
  uint32_t drained = 0;
  std::optional<StartFailure> failure;

  // One message a worker and a purpose: each is out once.
  std::vector<ControlMessage> announce, yield, drain, first_cut, second_cut, stop;
  bool announced = false;
  bool draining = false;
  bool has_cut = false;

  [[nodiscard]] Generation& newest() { return *generations.back()->generation; }
  [[nodiscard]] std::vector<auth::AuthCounters*> counters() const {
    std::vector<auth::AuthCounters*> all;
    for (const auto& one : auth_counters) all.push_back(one.get());
    return all;
  }
};

}  // namespace sluice::gateway
