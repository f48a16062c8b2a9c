// What is known of the names of endpoints: each is looked up again when its answer is about to be
// stale, and one without an address with growing patience until it has one. A name that can't be
// resolved now keeps the addresses it had. One per process, with a thread of its own; what it knows
// outlives configurations.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/background.h"
#include "gateway/resolver.h"

namespace sluice::gateway {

class NameWatcher {
 public:
  using Clock = std::chrono::steady_clock;
  // Time and DNS, which a test makes up. `resolve` blocks, at most for the resolver's timeout.
  struct World {
    std::function<Clock::time_point()> now = Clock::now;
    std::function<Names(const std::set<std::string>& names, const config::ResolverConfig& config,
                        const Interrupted& is_interrupted)>
        resolve = resolve_names;
  };

  explicit NameWatcher(World world);
  NameWatcher() : NameWatcher(World{}) {}
  ~NameWatcher() { stop(); }
  NameWatcher(const NameWatcher&) = delete;
  NameWatcher& operator=(const NameWatcher&) = delete;

  // Why there is no thread, or nothing.
  [[nodiscard]] std::optional<std::string> start();
  void stop();

  // --- any thread ----------------------------------------------------------------------------
  struct Filled {
    std::vector<std::string> complaints;  // a line for each name without an address
    uint64_t version = 0;                 // of the addresses that were filled in
  };
  // Gives endpoints their addresses; one without any stands there without. Waits for names that
  // nobody has looked up yet, and for no others.
  [[nodiscard]] Filled fill(config::Config& config, const Interrupted& is_interrupted);
  // From now on the names of this configuration, and no others.
  void watch(const config::Config& config);
  // Grows with each change of an address.
  [[nodiscard]] uint64_t version() const;

  // One round of its work; for how long there is nothing more to do.
  std::chrono::milliseconds tick();

 private:
  struct Name {
    Resolved last;
    Clock::time_point due;
    uint32_t failures = 0;  // in a row
  };
  [[nodiscard]] std::set<std::string> due_names() const;
  void take(const Names& answers);

  World world_;
  core::Background thread_{"sluice-names"};
  mutable std::mutex mutex_;  // of what follows; never held while a name is looked up
  config::ResolverConfig config_;
  std::map<std::string, Name> names_;
  uint64_t version_ = 0;
};

}  // namespace sluice::gateway
