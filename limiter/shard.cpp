#include "limiter/shard.h"

#include <algorithm>
#include <bit>

#include "core/assert.h"

namespace sluice::limiter {

Shard::Shard(uint32_t capacity, OnFull on_full)
    : mask_(std::bit_ceil(std::max(capacity, window)) - 1), on_full_(on_full), slots_(mask_ + 1) {}

Decision Shard::decide(Key key, const Policy& policy, core::Instant now) {
  SLUICE_DEBUG_ASSERT(key.hash != 0);
  Slot* vacant = nullptr;
  for (uint64_t step = 0; step < window; ++step) {
    Slot& slot = slots_[(key.hash + step) & mask_];
    if (slot.hash == key.hash) {
      Bucket bucket{slot.level, slot.since};
      const Decision decision = charge(policy, bucket, now);
      slot.level = bucket.level;
      slot.since = bucket.since;
      return count(decision);
    }
    if (slot.hash == 0) {  // never used, so nothing of this key lies behind it
      if (vacant == nullptr) vacant = &slot;
      break;
    }
    if (vacant == nullptr && is_drained(policy.rate, {slot.level, slot.since}, now)) vacant = &slot;
  }
  if (vacant == nullptr) {
    if (on_full_ == OnFull::admit) {
      counters_.full_admitted.add();
      return count({});
    }
    counters_.full_refused.add();
    return count({Decision::Kind::refuse, std::chrono::seconds{1}});
  }
  if (vacant->hash == 0) counters_.keys.add();
  const Bucket bucket = first_charge(now);
  *vacant = {.hash = key.hash, .since = bucket.since, .level = bucket.level};
  return count({});
}

Decision Shard::count(Decision decision) {
  switch (decision.kind) {
    case Decision::Kind::pass: counters_.passed.add(); break;
    case Decision::Kind::hold: counters_.held.add(); break;
    case Decision::Kind::refuse: counters_.refused.add(); break;
  }
  return decision;
}

}  // namespace sluice::limiter
