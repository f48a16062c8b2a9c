// One core's part of the buckets: a table of fixed capacity, 32 bytes a key, in which only this core reads and writes.
//
// Open addressing within a window of `window` slots from where the key's hash points: a request looks at no more than
// that, however full the table is. A new key takes an unused slot of its window, or one whose bucket has drained (nothing
// is forgotten with it). When every bucket of the window is live, the policy for a full table decides, and it is counted.
#pragma once

#include <cstdint>
#include <vector>

#include "core/counter.h"
#include "limiter/bucket.h"

namespace sluice::limiter {

// What is counted: a hash of limit and key that is never 0. Made by key_of_address().
struct Key {
  uint64_t hash = 0;
};

enum class OnFull : uint8_t { refuse, admit };

struct ShardCounters {
  core::Counter passed;
  core::Counter held;
  core::Counter refused;
  core::Counter full_refused;
  core::Counter full_admitted;
  core::Counter keys;  // slots in use, drained ones included
};

class Shard {
 public:
  static constexpr uint32_t window = 16;

  // `capacity` keys, rounded up to a power of two.
  explicit Shard(uint32_t capacity, OnFull on_full = OnFull::refuse);

  // Decides and charges at `now`, which only this core's clock tells.
  [[nodiscard]] Decision decide(Key key, const Policy& policy, core::Instant now);

  [[nodiscard]] uint64_t capacity() const { return mask_ + 1; }
  [[nodiscard]] const ShardCounters& counters() const { return counters_; }

 private:
  struct Slot {
    uint64_t hash = 0;  // 0: never used
    core::Instant since{};
    Level level = 0;
  };
  static_assert(sizeof(Slot) == 32);

  Decision count(Decision decision);

  uint64_t mask_;
  OnFull on_full_;
  std::vector<Slot> slots_;
  ShardCounters counters_;
};

}  // namespace sluice::limiter
