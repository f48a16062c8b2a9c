// What a core can ask of whoever brings keys: look for new ones now. A message to all cores
// follows, news or not.
#pragma once

#include <atomic>

#include "core/background.h"

namespace sluice::proxy {

class KeyWish {
 public:
  // `keeper`, if given, is woken by a wish and outlives it.
  explicit KeyWish(core::Waker* keeper = nullptr) : keeper_(keeper) {}

  // Any thread; never waits.
  void express() {
    if (!wanted_.exchange(true) && keeper_ != nullptr) keeper_->wake();
  }

  // --- for who brings them -------------------------------------------------------------------
  [[nodiscard]] bool take() { return wanted_.exchange(false); }

 private:
  core::Waker* keeper_;
  std::atomic<bool> wanted_{false};
};

}  // namespace sluice::proxy
