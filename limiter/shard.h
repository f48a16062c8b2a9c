// One core's part of all limits: a table of fixed capacity, 33 bytes a slot, in which only this
// core reads and writes.
//
// Open addressing in groups of sixteen slots. A key may stand in one of two groups that its hash
// names; one byte of the hash a slot tells with one comparison a group where to look. So a look-up
// touches two groups, however full the table is. A new key goes where there is more room, takes the
// slot of a bucket that has drained (nothing is forgotten with it), or moves a neighbour to its
// other group. When all that fails, the policy for a full table decides, and it is counted. Each
// new key also sweeps one group of what has drained there: no scan ever stops the world, and
// `examined_max` bounds the slots that one claim may look at.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/counter.h"
#include "core/pages.h"
#include "limiter/journal.h"
#include "limiter/limit.h"

namespace sluice::limiter {

enum class OnFull : uint8_t { refuse, admit };

struct LimitCounters {
  core::Counter passed;
  core::Counter held;
  core::Counter refused;
  core::Counter would_refuse;  // in dry run
};

struct ShardCounters {
  core::Counter full_refused;
  core::Counter full_admitted;
  core::Counter
      keys;  // slots in use; those that have drained and were not swept yet are among them
  core::Counter swept;  // slots that had drained and are free again
};

class Shard {
 public:
  static constexpr uint32_t group_slots = 16;
  // Both groups for the key, both for a drained bucket, two tag groups for each neighbour that
  // might move, one sweep.
  static constexpr uint64_t examined_max = 4 * group_slots + 2 * group_slots + group_slots;

  // Room for `capacity` keys at least, and for limits with the numbers 0 to `limits` - 1, at most
  // 256. Throws std::bad_alloc.
  Shard(uint64_t capacity, size_t limits, OnFull on_full = OnFull::refuse);
  Shard(uint64_t capacity, std::span<const Limit> limits, OnFull on_full = OnFull::refuse);
  // From `now` on the limit is this; of the kind that it was, if it was asked before. What is in
  // its buckets stays there, counted in requests, whatever the new rate.
  void set_limit(uint16_t number, const Limit& limit, core::Instant now = {});

  // Answers for all claims together at `now`, which only this core's clock tells. `taken` of commit
  // and give_back says which of the claims have something here, as an earlier verdict said.
  Verdict visit(Visit visit, std::span<const Claim> claims, HoldLimit hold, core::Instant now,
                uint8_t taken = 0);

  [[nodiscard]] uint64_t capacity() const { return groups_ * group_slots; }
  [[nodiscard]] const ShardCounters& counters() const { return counters_; }
  [[nodiscard]] const LimitCounters& counters(uint16_t limit) const {
    return limit_counters_[limit];
  }
  [[nodiscard]] static uint64_t size_bytes(uint64_t capacity);
  // Slots that were looked at since the last call. For tests of the bound.
  [[nodiscard]] uint64_t take_examined() { return std::exchange(examined_, 0); }
  // Every decision about a bucket is written there as well. nullptr ends it.
  void keep_journal(Journal* journal) { journal_ = journal; }

 private:
  struct Slot {
    uint64_t hash;
    core::Instant since;
    uint64_t level_low;
    uint32_t level_high : 32 - check_bits;  // no level has more than 72 bits (burst_max)
    uint32_t check : check_bits;
    uint8_t limit;
    uint8_t version;  // of its limit's rate: what unit the level is in
    uint16_t reserved;

    [[nodiscard]] Bucket bucket() const {
      return {Level{level_high} << 64 | level_low, since, reserved};
    }
    void store(const Bucket& bucket) {
      level_low = static_cast<uint64_t>(bucket.level);
      level_high = static_cast<uint8_t>(bucket.level >> 64);
      since = bucket.since;
      reserved = static_cast<uint16_t>(bucket.reserved);
    }
  };
  static_assert(sizeof(Slot) == 32);

  struct Group {
    alignas(16) uint8_t tags[group_slots];  // 0: free
  };
  enum class Form : uint8_t { charge, reserve };

  // A limit and its last rates. A slot of an older version is brought up to date when it is next
  // looked at, so a change costs nothing; when an older one than is remembered could be about, all
  // slots are looked at.
  static constexpr uint8_t versions_kept = 16;
  struct PastRate {
    Rate rate;
    core::Instant until{};
  };
  struct Rule {
    Limit limit;
    uint8_t version = 0;
    std::array<PastRate, versions_kept> past{};
  };
  void bring_up_to_date(Slot& slot) const;

  [[nodiscard]] static uint8_t tag_of(uint64_t hash);
  [[nodiscard]] uint64_t first_group(uint64_t hash) const;
  [[nodiscard]] uint64_t second_group(uint64_t hash) const;
  [[nodiscard]] uint32_t tags_equal(uint64_t group, uint8_t tag) const;
  [[nodiscard]] Slot* find(const Claim& claim);
  Slot* find_in(uint64_t group, const Claim& claim);
  Slot* insert(const Claim& claim, core::Instant now);
  Slot* occupy(uint64_t group, uint32_t index, const Claim& claim);
  bool free_drained_in(uint64_t group, core::Instant now, unsigned most);
  bool move_a_neighbour(uint64_t group);
  [[nodiscard]] bool is_idle(const Slot& slot, core::Instant now) const;
  void free_slot(uint64_t group, uint32_t index);

  Verdict admit(Form form, std::span<const Claim> claims, HoldLimit hold, core::Instant now);
  struct Taking {
    Decision decision;
    bool taken = false;
    Nearest nearest;  // as far as this limit goes, if it was taken
  };
  Taking take(Form form, const Claim& claim, HoldLimit hold, core::Instant now);
  Decision judge_slot(const Slot& slot, HoldLimit hold, core::Instant now) const;
  void undo(Form form, const Claim& claim, core::Instant now);
  Verdict commit(std::span<const Claim> claims, core::Instant now, uint8_t taken);
  void give_back(std::span<const Claim> claims, core::Instant now, uint8_t taken);
  void note(JournalEntry::Event event, const Claim& claim, core::Instant now,
            const Decision& decision = {}, HoldLimit hold = {});

  std::vector<Rule> rules_;
  OnFull on_full_;
  uint64_t groups_;
  core::Pages<Group> tags_;
  core::Pages<Slot> slots_;
  uint64_t sweep_ = 0;  // the group to be swept next
  uint64_t examined_ = 0;
  Journal* journal_ = nullptr;
  ShardCounters counters_;
  std::unique_ptr<LimitCounters[]> limit_counters_;
};

}  // namespace sluice::limiter
