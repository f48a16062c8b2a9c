// What the control thread of a gateway does for its workers, where a test has no threads: configurations, one after another.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "proxy/generation.h"
#include "proxy/key_keeper.h"

namespace sluice::simulation {

class Control {
 public:
  explicit Control(uint32_t workers) : registry_(workers) {
    for (uint32_t index = 0; index < workers; ++index) counters_.push_back(std::make_unique<auth::AuthCounters>());
  }

  // `config` is complete. With the keys that it names itself.
  proxy::Generation& make(const config::Config& config, uint64_t seed = 0) {
    Life& life = begin(config, seed);
    life.keeper = std::make_unique<proxy::KeyKeeper>(life.generation->config());
    static_cast<void>(life.keeper->load());
    return finish(life, {life.keeper->snapshot()});
  }
  // With others, which `keys.keeper` may be asked for.
  proxy::Generation& make(const config::Config& config, uint64_t seed, const proxy::GenerationKeys& keys) {
    return finish(begin(config, seed), keys);
  }

  [[nodiscard]] proxy::Registry& registry() { return registry_; }
  [[nodiscard]] const proxy::Labels& labels() { return registry_.labels(); }
  [[nodiscard]] proxy::Generation& newest() { return *lives_.back()->generation; }
  // Of the configurations so far, how many nothing uses any more.
  [[nodiscard]] size_t released() const {
    return static_cast<size_t>(std::count_if(lives_.begin(), lives_.end(), [](const auto& one) { return one->generation->is_released(); }));
  }
  // Frees them, as the control thread does.
  void sweep() {
    std::erase_if(lives_, [&](const auto& one) { return one != lives_.back() && one->generation->is_released(); });
    registry_.sweep();
  }
  [[nodiscard]] size_t alive() const { return lives_.size(); }

 private:
  struct Life {
    std::unique_ptr<proxy::Generation> generation;
    std::unique_ptr<proxy::KeyKeeper> keeper;
  };
  Life& begin(const config::Config& config, uint64_t seed) {
    lives_.push_back(std::make_unique<Life>());
    lives_.back()->generation = std::make_unique<proxy::Generation>(registry_, config, seed);
    return *lives_.back();
  }
  proxy::Generation& finish(Life& life, const proxy::GenerationKeys& keys) {
    std::vector<auth::AuthCounters*> counters;
    for (const auto& one : counters_) counters.push_back(one.get());
    life.generation->make_shares(keys, counters);
    return *life.generation;
  }

  proxy::Registry registry_;
  std::vector<std::unique_ptr<auth::AuthCounters>> counters_;
  std::vector<std::unique_ptr<Life>> lives_;
};

// A worker's first options: this share, and one listener for each of the configuration's.
inline proxy::WorkerOptions worker_options(Control& control, uint32_t index, core::Kernel& kernel, int listener) {
  proxy::Share& share = control.newest().share(index);
  share.message().listeners = {{listener, control.newest().config().listeners.front()}};
  return {.index = index, .share = &share, .labels = &control.labels(), .kernel = &kernel};
}

}  // namespace sluice::simulation
