// One hierarchical timer wheel a core. A Timer lives inside what it times; arming, moving and
// disarming are O(1) and allocate nothing. Resolution is 1 ms: a timer never fires early, and at
// most one tick late; of those that are due in the same tick, the one that was armed first fires
// first.
//
// Moving a deadline later (the common case: progress was made) only stores it; when the wheel comes
// past the old place, the timer is put where it belongs by then.
#pragma once

#include <array>
#include <cstdint>

#include "core/clock.h"
#include "core/intrusive_list.h"
#include "core/token.h"

namespace sluice::core {

struct TimerTag;

class Timer : public ListNode<TimerTag> {
 public:
  // `token` says who is called back.
  void bind(Token token) { token_ = token; }
  [[nodiscard]] Token token() const { return token_; }
  [[nodiscard]] bool is_armed() const { return is_linked() && deadline_ != unarmed; }

 private:
  friend class TimerWheel;
  static constexpr uint64_t unarmed = UINT64_MAX;
  Token token_;
  uint64_t deadline_ = unarmed;  // tick
  uint64_t place_ = 0;           // tick under which it hangs; never after deadline_
  uint8_t level_ = 0;
};

class TimerWheel {
 public:
  static constexpr Duration tick = std::chrono::milliseconds{1};

  explicit TimerWheel(Instant start) : start_(start) {}

  void arm(Timer& timer, Instant deadline);
  // Forgets the timer altogether. What is freed must have been disarmed.
  void disarm(Timer& timer);

  // Calls fire(Timer&) for all that are due at `now`; a fired timer is disarmed and may be armed
  // again at once.
  template <typename Fire>
  void advance(Instant now, Fire&& fire) {
    const uint64_t target = tick_at(now);
    while (current_ < target) {
      const uint64_t next = next_tick();
      if (next > target) {
        current_ = target;
        return;
      }
      current_ = next;
      cascade();
      Slots& level = levels_[0];
      const auto index = current_ % slots;
      due_.splice_back(level.lists[index]);
      level.occupied &= ~(uint64_t{1} << index);
      while (Timer* timer = due_.pop_front()) {
        if (timer->deadline_ == Timer::unarmed) continue;
        if (timer->deadline_ > current_) {
          place(*timer, timer->deadline_, End::back);
          continue;
        }
        timer->deadline_ = Timer::unarmed;
        --armed_;
        fire(*timer);
      }
    }
  }

  // How long the wheel has nothing to do; `forever` when it is empty.
  [[nodiscard]] Duration until_next(Instant now) const;
  [[nodiscard]] uint64_t armed() const { return armed_; }

 private:
  static constexpr unsigned bits = 6;
  static constexpr uint64_t slots = 1 << bits;
  static constexpr unsigned depth = 6;  // 2^36 ms: over two years

  struct Slots {
    uint64_t occupied = 0;  // may have a bit too many, never one too few
    std::array<IntrusiveList<Timer, TimerTag>, slots> lists;
  };

  [[nodiscard]] uint64_t tick_at(Instant instant) const {
    return instant <= start_ ? 0 : static_cast<uint64_t>((instant - start_) / tick);
  }
  [[nodiscard]] uint64_t next_tick() const;
  enum class End : uint8_t { front, back };
  void place(Timer& timer, uint64_t at, End end);
  void cascade();

  Instant start_;
  uint64_t current_ = 0;
  uint64_t armed_ = 0;
  std::array<Slots, depth> levels_;
  IntrusiveList<Timer, TimerTag> due_;
};

}  // namespace sluice::core
