// Looks a key up, brings its bucket up to date, and decides.
#include "limiter/shard.h"

#include <algorithm>
#include <utility>

#include "core/assert.h"

namespace sluice::limiter {

namespace {

using Event = JournalEntry::Event;

// What a table that is full for this key says about when to come back: nobody knows.
constexpr core::Duration full_wait = std::chrono::seconds{1};
constexpr uint32_t reserved_max = UINT16_MAX;

// Groups enough for an eighth more than `capacity`: with two groups a key and neighbours that move,
// all of them fit.
uint64_t groups_for(uint64_t capacity) {
  return std::max<uint64_t>(2, (capacity + capacity / 8) / Shard::group_slots + 1);
}

bool has_bit(uint8_t bits, size_t index) { return (bits >> index & 1) != 0; }

}  // namespace

void merge(Verdict& into, const Verdict& other) {
  if (other.would_refuse != no_limit) into.would_refuse = other.would_refuse;
  into.release_at = std::max(into.release_at, other.release_at);
  if (other.kind == Decision::Kind::refuse &&
      (into.kind != Decision::Kind::refuse || other.retry_after > into.retry_after)) {
    into.retry_after = other.retry_after;
    into.refused_by = other.refused_by;
  }
  into.kind = std::max(into.kind, other.kind);
  merge(into.nearest, other.nearest);
}

void merge(Nearest& into, const Nearest& other) {
  if (other.limit == no_limit) return;
  const bool is_nearer =
      other.left.requests < into.left.requests ||
      (other.left.requests == into.left.requests && other.left.more_in > into.left.more_in);
  if (into.limit == no_limit || is_nearer) into = other;
}

uint64_t Shard::size_bytes(uint64_t capacity) {
  return groups_for(capacity) * (sizeof(Group) + group_slots * sizeof(Slot));
}

Shard::Shard(uint64_t capacity, size_t limits, OnFull on_full)
    : rules_(limits),
      on_full_(on_full),
      groups_(groups_for(capacity)),
      tags_(groups_),
      slots_(groups_ * group_slots),
      limit_counters_(std::make_unique<LimitCounters[]>(limits)) {
  SLUICE_ASSERT(limits <= UINT8_MAX + 1);
}

Shard::Shard(uint64_t capacity, std::span<const Limit> limits, OnFull on_full)
    : Shard(capacity, limits.size(), on_full) {
  for (size_t number = 0; number < limits.size(); ++number) rules_[number].limit = limits[number];
}

// --- limits that change ----------------------------------------------------------------------

void Shard::set_limit(uint16_t number, const Limit& limit, core::Instant now) {
  Rule& rule = rules_[number];
  const Rate old = std::exchange(rule.limit, limit).policy.rate;
  const Rate& rate = limit.policy.rate;
  if (limit.kind != Limit::Kind::bucket ||
      (old.requests == rate.requests && old.period_ns == rate.period_ns))
    return;
  rule.past[rule.version % versions_kept] = {old, now};
  ++rule.version;
  if (rule.version % (versions_kept - 1) != 0) return;
  for (uint64_t slot = 0; slot < groups_ * group_slots; ++slot) {
    const bool is_used = tags_[slot / group_slots].tags[slot % group_slots] != 0;
    if (is_used && slots_[slot].limit == number) bring_up_to_date(slots_[slot]);
  }
}

// At each change what was left is counted anew: as many requests, in the unit of the next rate.
void Shard::bring_up_to_date(Slot& slot) const {
  const Rule& rule = rules_[slot.limit];
  while (slot.version != rule.version) {
    const PastRate& past = rule.past[slot.version % versions_kept];
    ++slot.version;
    const Rate& next = slot.version == rule.version ? rule.limit.policy.rate
                                                    : rule.past[slot.version % versions_kept].rate;
    Bucket bucket = slot.bucket();
    const Level left = level_at(past.rate, bucket, past.until);
    const Level period = past.rate.period_ns;
    bucket.level = left / period * next.period_ns + left % period * next.period_ns / period;
    bucket.since = std::max(bucket.since, past.until);
    slot.store(bucket);
  }
}

// --- decisions -------------------------------------------------------------------------------

Decision Shard::judge_slot(const Slot& slot, HoldLimit hold, core::Instant now) const {
  const Limit& limit = rules_[slot.limit].limit;
  if (limit.kind == Limit::Kind::bucket) return judge(limit.policy, slot.bucket(), now, hold);
  return slot.level_low < limit.concurrent ? Decision{}
                                           : Decision{Decision::Kind::refuse, full_wait};
}

// Decides about one claim and, unless it is refused, charges it (or sets it aside).
Shard::Taking Shard::take(Form form, const Claim& claim, HoldLimit hold, core::Instant now) {
  SLUICE_DEBUG_ASSERT(claim.hash != 0);
  Slot* slot = find(claim);
  if (slot == nullptr) slot = insert(claim, now);
  if (slot == nullptr || slot->reserved == reserved_max) {
    if (on_full_ == OnFull::admit) {
      counters_.full_admitted.add();
      return {};
    }
    counters_.full_refused.add();
    return {.decision = {Decision::Kind::refuse, full_wait}};
  }
  const Limit& limit = rules_[claim.limit].limit;
  const Decision decision = judge_slot(*slot, hold, now);
  const bool dry = limit.enforcement == Enforcement::dry_run;
  const bool is_let_in = decision.kind != Decision::Kind::refuse;
  const bool is_announced = !dry && limit.announcement == Announcement::announced;
  Taking taking{.decision = decision, .taken = is_let_in};
  if (limit.kind == Limit::Kind::concurrency) {
    // In dry run the count goes on above the limit, so that it stays true.
    taking.taken = dry || is_let_in;
    if (taking.taken) ++slot->level_low;
    note(taking.taken ? Event::charged : Event::refused, claim, now, decision);
    if (is_announced && is_let_in) {
      const auto places = static_cast<uint32_t>(limit.concurrent - slot->level_low);
      taking.nearest = {claim.limit, {.requests = places}};
    }
    return taking;
  }
  note(!is_let_in              ? Event::refused
       : form == Form::reserve ? Event::reserved
                               : Event::charged,
       claim, now, decision, hold);
  if (!is_let_in) return taking;
  Bucket bucket = slot->bucket();
  if (form == Form::reserve) {
    ++bucket.reserved;
  } else {
    charge(limit.policy.rate, bucket, now);
  }
  slot->store(bucket);
  if (is_announced) taking.nearest = {claim.limit, left_in(limit.policy, bucket, now)};
  return taking;
}

// What take() did at the same instant never happened.
void Shard::undo(Form form, const Claim& claim, core::Instant now) {
  Slot* slot = find(claim);
  SLUICE_ASSERT(slot != nullptr);
  const Limit& limit = rules_[claim.limit].limit;
  if (limit.kind == Limit::Kind::concurrency) {
    --slot->level_low;
  } else if (form == Form::reserve) {
    --slot->reserved;
  } else {
    Bucket bucket = slot->bucket();
    uncharge(limit.policy.rate, bucket);
    slot->store(bucket);
  }
  note(Event::undone, claim, now);
}

// All or none.
Verdict Shard::admit(Form form, std::span<const Claim> claims, HoldLimit hold, core::Instant now) {
  Verdict verdict;
  std::array<Decision, limits_per_request_max> decisions;
  for (size_t index = 0; index < claims.size(); ++index) {
    const bool dry = rules_[claims[index].limit].limit.enforcement == Enforcement::dry_run;
    // A dry run never holds anybody up; nor is anybody held who is refused already.
    const Taking taking = take(form, claims[index], dry ? HoldLimit{} : hold, now);
    const Decision& decision = decisions[index] = taking.decision;
    merge(verdict.nearest, taking.nearest);
    if (taking.taken) verdict.taken = static_cast<uint8_t>(verdict.taken | 1U << index);
    if (dry) {
      if (decision.kind == Decision::Kind::refuse) verdict.would_refuse = claims[index].limit;
      continue;
    }
    if (decision.kind == Decision::Kind::refuse) {
      merge(
          verdict,
          {.kind = decision.kind, .retry_after = decision.wait, .refused_by = claims[index].limit});
    } else if (decision.kind == Decision::Kind::hold) {
      merge(verdict, {.kind = decision.kind, .release_at = now + decision.wait});
    }
  }
  const bool refused = verdict.kind == Decision::Kind::refuse;
  for (size_t index = 0; index < claims.size(); ++index) {
    if (refused && has_bit(verdict.taken, index)) undo(form, claims[index], now);
    LimitCounters& counters = limit_counters_[claims[index].limit];
    const bool dry = rules_[claims[index].limit].limit.enforcement == Enforcement::dry_run;
    switch (decisions[index].kind) {
      case Decision::Kind::refuse: (dry ? counters.would_refuse : counters.refused).add(); break;
      case Decision::Kind::hold:
        if (!refused) (dry ? counters.passed : counters.held).add();
        break;
      case Decision::Kind::pass:
        if (!refused) counters.passed.add();
        break;
    }
  }
  if (refused) verdict.taken = 0;
  return verdict;
}

// What was set aside becomes a charge, now: the bucket's formula holds for the instants of its
// charges.
Verdict Shard::commit(std::span<const Claim> claims, core::Instant now, uint8_t taken) {
  Verdict verdict;
  for (size_t index = 0; index < claims.size(); ++index) {
    if (!has_bit(taken, index)) continue;
    const Limit& limit = rules_[claims[index].limit].limit;
    if (limit.kind == Limit::Kind::concurrency) {
      verdict.taken = static_cast<uint8_t>(verdict.taken | 1U << index);
      continue;
    }
    Slot* slot = find(claims[index]);
    SLUICE_ASSERT(slot != nullptr && slot->reserved > 0);
    Bucket bucket = slot->bucket();
    --bucket.reserved;
    charge(limit.policy.rate, bucket, now);
    slot->store(bucket);
    note(Event::committed, claims[index], now);
  }
  return verdict;
}

void Shard::give_back(std::span<const Claim> claims, core::Instant now, uint8_t taken) {
  for (size_t index = 0; index < claims.size(); ++index) {
    if (!has_bit(taken, index)) continue;
    Slot* slot = find(claims[index]);
    SLUICE_ASSERT(slot != nullptr);
    if (rules_[claims[index].limit].limit.kind == Limit::Kind::concurrency) {
      SLUICE_ASSERT(slot->level_low > 0);
      --slot->level_low;
    } else {
      SLUICE_ASSERT(slot->reserved > 0);
      --slot->reserved;
    }
    note(Event::given_back, claims[index], now);
  }
}

Verdict Shard::visit(Visit visit, std::span<const Claim> claims, HoldLimit hold, core::Instant now,
                     uint8_t taken) {
  switch (visit) {
    case Visit::decide: return admit(Form::charge, claims, hold, now);
    case Visit::reserve: return admit(Form::reserve, claims, hold, now);
    case Visit::commit: return commit(claims, now, taken);
    case Visit::give_back: give_back(claims, now, taken); return {};
    case Visit::probe: break;
  }
  Verdict verdict;
  for (const Claim& claim : claims) {
    const Slot* slot = find(claim);
    if (slot == nullptr || rules_[claim.limit].limit.enforcement == Enforcement::dry_run) continue;
    const Decision decision = judge_slot(*slot, hold, now);
    if (decision.kind == Decision::Kind::refuse)
      merge(verdict,
            {.kind = decision.kind, .retry_after = decision.wait, .refused_by = claim.limit});
  }
  return verdict;
}

void Shard::note(Event event, const Claim& claim, core::Instant now, const Decision& decision,
                 HoldLimit hold) {
  if (journal_ != nullptr) journal_->write({event, claim, now, decision, hold});
}

}  // namespace sluice::limiter
