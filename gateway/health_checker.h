// Asks endpoints how they are, by GET over a connection of its own each time, from one thread that
// is no core's. The first answer counts at once; after that so many in a row decide. Each endpoint
// is asked at its own time, with jitter; one that is silent keeps no other waiting.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/background.h"
#include "core/random.h"
#include "gateway/endpoint.h"
#include "gateway/fetcher.h"

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
  using Clock = std::chrono::steady_clock;
  // Time and the network, which a test makes up.
  struct World {
    std::function<Clock::time_point()> now;
    std::function<void(uint64_t ticket, const Question& question)> ask;
    std::function<Fetcher::Answers(std::chrono::milliseconds wait)> answers;
    uint64_t seed = 0;  // of the jitter; 0: any
  };
  [[nodiscard]] static World real_world();

  explicit HealthChecker(World world = real_world());
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  // Why there is no thread, or nothing. Without one, tick() and settle() do its work.
  [[nodiscard]] std::optional<std::string> start();
  void stop();

  // --- any thread; none of these waits for an endpoint ----------------------------------------
  // The endpoints of this generation too, while it is not in use yet.
  void meet(const Generation& generation);
  // Whether those that nobody knew have been asked once.
  [[nodiscard]] bool knows(const Generation& generation) const;
  // Until they have been; false if `is_interrupted` said so first.
  bool settle(const Generation& generation, const std::function<bool()>& is_interrupted = {});
  // From now on the endpoints of this generation, and no others.
  void watch(const Generation& generation);
  // What changed since the last call: lines for people.
  [[nodiscard]] std::vector<std::string> take_notices();

  // One round of its work; for how long there is nothing more to do.
  std::chrono::milliseconds tick();

 private:
  struct Target {
    std::shared_ptr<Endpoint> endpoint;
    config::HealthCheck rules;
    HealthJudge judge;
    Clock::time_point due{};
    uint64_t ticket = 0;  // of the question that is under way; 0: none is
    bool was_asked = false;
  };
  [[nodiscard]] Target* find(const std::shared_ptr<Endpoint>& endpoint);
  void observe(Target& target, const Fetched& fetched);
  void take_answers(std::chrono::milliseconds wait);

  World world_;
  core::Random random_;
  core::Background thread_{"sluice-health"};
  mutable std::mutex mutex_;  // of what follows; never held while somebody is asked
  std::vector<std::unique_ptr<Target>> targets_;
  std::vector<std::string> notices_;
  uint64_t tickets_ = 0;
  size_t under_way_ = 0;
};

}  // namespace sluice::gateway
