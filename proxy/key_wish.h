// What a core can ask of whoever brings keys: look for new ones now. A message to all cores
// follows, news or not.
#pragma once

#include <atomic>
#include <chrono>
#include <semaphore>

namespace sluice::proxy {

class KeyWish {
 public:
  // Any thread; never waits.
  void express() {
    if (!wanted_.exchange(true)) wake();
  }

  // --- for who brings them -------------------------------------------------------------------
  [[nodiscard]] bool take() { return wanted_.exchange(false); }
  [[nodiscard]] bool is_expressed() const { return wanted_; }
  void wake() { wake_.release(); }
  // Until somebody wishes or wakes, at most `time`.
  void wait(std::chrono::milliseconds time) { static_cast<void>(wake_.try_acquire_for(time)); }

 private:
  std::atomic<bool> wanted_{false};
  std::counting_semaphore<> wake_{0};
};

}  // namespace sluice::proxy
