// Spares an upstream that fails too much, as one core sees it.
//
//   closed     requests pass; failures are counted over a window
//   open       none does, for open_time
//   half_open  one at a time does; `probes` successes in a row close it, a failure opens it again
#pragma once

#include <array>
#include <cstdint>

#include "config/upstream_config.h"
#include "core/counter.h"

namespace sluice::proxy {

// What a request says about its endpoint, if it says anything.
enum class Outcome : uint8_t { success, failure };

class CircuitBreaker {
 public:
  enum class State : uint8_t { closed, open, half_open };

  // Whether a request may go; what becomes of it is noted, if it says anything.
  [[nodiscard]] bool admit(const config::Circuit& rules, core::Instant now);
  void note(const config::Circuit& rules, Outcome outcome, core::Instant now);
  [[nodiscard]] core::Duration until_half_open(core::Instant now) const {
    return open_until_ > now ? open_until_ - now : core::Duration{0};
  }
  // Any thread; 0 closed, 1 open, 2 half open.
  [[nodiscard]] uint64_t state_number() const { return shown_.get(); }
  core::Counter opened;

 private:
  static constexpr uint32_t slices = 10;
  struct Slice {
    int64_t number = -1;
    uint32_t requests = 0;
    uint32_t failures = 0;
  };
  void become(State state) {
    state_ = state;
    shown_.set(static_cast<uint64_t>(state));
  }
  void open(const config::Circuit& rules, core::Instant now);

  State state_ = State::closed;
  core::Instant next_probe_at_{};  // half_open: one that is on its way has so long to tell
  uint32_t successes_ = 0;
  core::Instant open_until_{};
  std::array<Slice, slices> window_{};
  core::Counter shown_;
};

}  // namespace sluice::proxy
