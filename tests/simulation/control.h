// What the control thread of a gateway does for its workers, where a test has no threads:
// configurations, one after another.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "gateway/generation.h"
#include "gateway/key_keeper.h"

namespace sluice::simulation {

class Control {
 public:
  explicit Control(uint32_t workers) : registry_(workers) {
    for (uint32_t index = 0; index < workers; ++index)
      counters_.push_back(std::make_unique<auth::AuthCounters>());
  }

  // `config` is complete. With the keys that it names itself.
  gateway::Generation& make(const config::Config& config, uint64_t seed = 0) {
    Life& life = begin(config, seed);
    life.keys = keeper_.admit(life.generation->config());
    keeper_.settle(*life.keys);
    return finish(life, {life.keys->snapshot()});
  }
  // With others, which `keys.wish` may be asked for.
  gateway::Generation& make(const config::Config& config, uint64_t seed,
                            const gateway::GenerationKeys& keys) {
    return finish(begin(config, seed), keys);
  }

  [[nodiscard]] gateway::Registry& registry() { return registry_; }
  [[nodiscard]] const proxy::Labels& labels() { return registry_.labels(); }
  [[nodiscard]] gateway::Generation& newest() { return *lives_.back()->generation; }
  // Of the configurations so far, how many nothing uses any more.
  [[nodiscard]] size_t released() const {
    return static_cast<size_t>(std::count_if(lives_.begin(), lives_.end(), [](const auto& one) {
      return one->generation->is_released();
    }));
  }
  // Frees them, as the control thread does.
  void sweep() {
    std::erase_if(lives_, [&](const auto& one) {
      return one != lives_.back() && one->generation->is_released();
    });
    registry_.sweep();
  }
  [[nodiscard]] size_t alive() const { return lives_.size(); }

 private:
  struct Life {
    std::unique_ptr<gateway::Generation> generation;
    std::shared_ptr<gateway::KeyView> keys;
  };
  Life& begin(const config::Config& config, uint64_t seed) {
    lives_.push_back(std::make_unique<Life>());
    lives_.back()->generation = std::make_unique<gateway::Generation>(registry_, config, seed);
    return *lives_.back();
  }
  gateway::Generation& finish(Life& life, const gateway::GenerationKeys& keys) {
    std::vector<auth::AuthCounters*> counters;
    for (const auto& one : counters_) counters.push_back(one.get());
    life.generation->make_cores(keys, counters);
    life.generation->take_effect();
    return *life.generation;
  }

  gateway::Registry registry_;
  gateway::KeyKeeper keeper_;  // has no thread here
  std::vector<std::unique_ptr<auth::AuthCounters>> counters_;
  std::vector<std::unique_ptr<Life>> lives_;
};

// A worker's first options: this generation, and one listener for each of the configuration's.
inline proxy::WorkerOptions worker_options(Control& control, uint32_t index, core::Kernel& kernel,
                                           int listener) {
  proxy::CoreGeneration& generation = control.newest().core(index);
  generation.message().listeners = {{listener, control.newest().config().listeners.front()}};
  return {
      .index = index, .generation = &generation, .labels = &control.labels(), .kernel = &kernel};
}

}  // namespace sluice::simulation
