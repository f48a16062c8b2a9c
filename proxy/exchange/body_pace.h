// How fast a client sends its body: one that was waited for this long in all must have sent at
// least 128 bytes a second.
#pragma once

#include <cstdint>

#include "core/clock.h"

namespace sluice::proxy {

inline constexpr core::Duration body_window = std::chrono::seconds{60};
inline constexpr uint64_t body_bytes_per_window_min = 60 * 128;

class BodyPace {
 public:
  void begin_waiting(core::Instant now) { asked_at_ = now; }
  // So many came. True at the end of a window in which they were too few.
  [[nodiscard]] bool is_too_slow(core::Instant now, uint64_t bytes) {
    waited_ += now - asked_at_;
    bytes_ += bytes;
    if (waited_ < body_window) return false;
    const bool is_slow = bytes_ < body_bytes_per_window_min;
    waited_ = {};
    bytes_ = 0;
    return is_slow;
  }

 private:
  core::Duration waited_{};
  uint64_t bytes_ = 0;
  core::Instant asked_at_{};
};

}  // namespace sluice::proxy
