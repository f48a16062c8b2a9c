// What a shard decided, and when by its own clock: for the tests of exactness and for `sluice
// limits verify`. Bounded; what does not fit is counted. Written by the shard's thread, read when
// that has stopped.
#pragma once

#include <vector>

#include "limiter/limit.h"

namespace sluice::limiter {

struct JournalEntry {
  enum class Event : uint8_t {
    charged,   // let in: passes or is held, as the decision says
    reserved,  // would be let in; waits for other cores
    refused,   // and nothing changed
    undone,  // the charge or reservation of the same instant: another limit of the request refused
    committed,   // what was reserved is charged, now
    given_back,  // what was reserved, or a place in a concurrency limit, is free again
  };
  Event event = Event::charged;
  Claim claim;
  core::Instant at{};
  Decision decision;  // charged, reserved, refused
  HoldLimit hold;     // under which it was decided
};

class Journal {
 public:
  explicit Journal(size_t capacity) { entries_.reserve(capacity); }
  void write(const JournalEntry& entry) {
    if (entries_.size() == entries_.capacity()) {
      ++lost_;
    } else {
      entries_.push_back(entry);
    }
  }
  [[nodiscard]] const std::vector<JournalEntry>& entries() const { return entries_; }
  [[nodiscard]] uint64_t lost() const { return lost_; }

 private:
  std::vector<JournalEntry> entries_;
  uint64_t lost_ = 0;
};

}  // namespace sluice::limiter
