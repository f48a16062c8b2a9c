// Places timers in the wheel's levels and moves them down as time passes.
#include "core/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace sluice::core {

void TimerWheel::arm(Timer& timer, Instant deadline) {
  // Rounded up, so that it never fires early; at least one tick ahead, so that it is never placed
  // in the past.
  const uint64_t wanted = std::max(tick_at(deadline + tick - Duration{1}), current_ + 1);
  if (timer.deadline_ == Timer::unarmed) ++armed_;
  timer.deadline_ = wanted;
  if (timer.is_linked()) {
    if (timer.place_ <= wanted) return;
    IntrusiveList<Timer, TimerTag>::remove(timer);
  }
  place(timer, wanted, End::back);
}

void TimerWheel::disarm(Timer& timer) {
  if (timer.is_linked()) IntrusiveList<Timer, TimerTag>::remove(timer);
  if (timer.deadline_ != Timer::unarmed) --armed_;
  timer.deadline_ = Timer::unarmed;
}

void TimerWheel::place(Timer& timer, uint64_t at, End end) {
  SLUICE_DEBUG_ASSERT(at > current_ || at == timer.deadline_);
  const uint64_t distance = std::min(at - current_, (uint64_t{1} << (bits * depth)) - 1);
  at = current_ + distance;
  const auto level =
      distance == 0 ? 0U : (static_cast<unsigned>(std::bit_width(distance)) - 1) / bits;
  const auto index = (at >> (bits * level)) % slots;
  timer.place_ = at;
  timer.level_ = static_cast<uint8_t>(level);
  auto& list = levels_[level].lists[index];
  if (end == End::back) {
    list.push_back(timer);
  } else {
    list.push_front(timer);
  }
  levels_[level].occupied |= uint64_t{1} << index;
}

// Timers of the coarser levels whose slot begins now move to where they are exact. They were armed
// before all that already stand there, from further away; so they go in front of those, the last
// one first.
void TimerWheel::cascade() {
  for (unsigned level = depth - 1; level > 0; --level) {
    if ((current_ & ((uint64_t{1} << (bits * level)) - 1)) != 0) continue;
    Slots& from = levels_[level];
    const auto index = (current_ >> (bits * level)) % slots;
    if ((from.occupied >> index & 1) == 0) continue;
    from.occupied &= ~(uint64_t{1} << index);
    IntrusiveList<Timer, TimerTag> moving;
    moving.splice_back(from.lists[index]);
    while (Timer* timer = moving.pop_back()) {
      if (timer->deadline_ == Timer::unarmed) continue;
      place(*timer, timer->deadline_, End::front);
    }
  }
}

uint64_t TimerWheel::next_tick() const {
  uint64_t next = UINT64_MAX;
  for (unsigned level = 0; level < depth; ++level) {
    const uint64_t occupied = levels_[level].occupied;
    if (occupied == 0) continue;
    const uint64_t here = (current_ >> (bits * level)) + 1;
    if (next <= here << (bits * level)) break;  // what hangs higher is not sooner
    const auto ahead = static_cast<uint64_t>(
        std::countr_zero(std::rotr(occupied, static_cast<int>(here % slots))));
    next = std::min(next, (here + ahead) << (bits * level));
  }
  return next;
}

Duration TimerWheel::until_next(Instant now) const {
  const uint64_t next = next_tick();
  if (next == UINT64_MAX) return forever;
  return std::max(Duration{0}, start_ + tick * static_cast<Duration::rep>(next) - now);
}

}  // namespace sluice::core
