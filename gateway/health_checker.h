// Asks endpoints how they are, by GET over a connection of its own each time, from one thread that
// is no core's. The first answer counts at once; after that so many in a row decide. Each endpoint
// is asked at its own time, with jitter.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "core/fresh_secret.h"
#include "core/random.h"
#include "gateway/endpoint.h"

namespace sluice::gateway {

class Generation;

// What the answers so far say about one endpoint. Pure.
class HealthJudge {
 public:
  // Whether the verdict changed. `verdict` is what it was, and becomes what it is.
  [[nodiscard]] bool observe(proxy::Outcome outcome, const config::HealthCheck& rules,
                             proxy::Health& verdict);

 private:
  uint32_t in_a_row_ = 0;
  proxy::Outcome last_ = proxy::Outcome::success;
};

class HealthChecker {
 public:
  HealthChecker() = default;
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  // From now on the endpoints of this generation. Those that are new are asked before it returns
  // (each at most for its timeout, all at once).
  void watch(Generation& generation);
  void stop();
  // What changed since the last call: lines for people.
  [[nodiscard]] std::vector<std::string> take_notices();

 private:
  using Clock = std::chrono::steady_clock;
  struct Target {
    std::shared_ptr<Endpoint> endpoint;
    config::HealthCheck rules;
    HealthJudge judge;
    Clock::time_point due{};
  };

  void run();
  void ask(const std::vector<Target*>& targets);
  void observe(Target& target, proxy::Outcome outcome, const std::string& why);

  std::mutex mutex_;  // of targets and notices; the control thread and the checker's
  std::vector<std::unique_ptr<Target>> targets_;
  std::vector<std::string> notices_;
  core::Random random_{core::fresh_secret<uint64_t>()};
  std::atomic<bool> stopping_{false};
  std::binary_semaphore wake_{0};
  std::thread thread_;
};

}  // namespace sluice::gateway
