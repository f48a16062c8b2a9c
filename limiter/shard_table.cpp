// The table of a shard: where a key's slot is, and how room is made for a new one.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <utility>

#include "core/assert.h"
#include "limiter/shard.h"

namespace sluice::limiter {

namespace {

constexpr uint64_t odd = 0x9e3779b97f4a7c15;

uint64_t scale(uint64_t hash, uint64_t count) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * count) >> 64);
}

}  // namespace

uint8_t Shard::tag_of(uint64_t hash) { return std::max<uint8_t>(1, static_cast<uint8_t>(hash)); }
uint64_t Shard::first_group(uint64_t hash) const { return scale(hash, groups_); }

// Never the first one.
uint64_t Shard::second_group(uint64_t hash) const {
  const uint64_t first = first_group(hash);
  const uint64_t second = scale(std::rotl(hash * odd, 32) * odd, groups_ - 1);
  return second < first ? second : second + 1;
}

uint32_t Shard::tags_equal(uint64_t group, uint8_t tag) const {
  const uint8_t* tags = tags_[group].tags;
#if defined(__SSE2__)
  const __m128i all = _mm_load_si128(reinterpret_cast<const __m128i*>(tags));
  return static_cast<uint32_t>(
      _mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_set1_epi8(static_cast<char>(tag)))));
#else
  uint32_t equal = 0;
  for (uint32_t index = 0; index < group_slots; ++index)
    equal |= static_cast<uint32_t>(tags[index] == tag) << index;
  return equal;
#endif
}

Shard::Slot* Shard::find_in(uint64_t group, const Claim& claim) {
  for (uint32_t candidates = tags_equal(group, tag_of(claim.hash)); candidates != 0;
       candidates &= candidates - 1) {
    Slot& slot = slots_[group * group_slots + static_cast<uint32_t>(std::countr_zero(candidates))];
    ++examined_;
    if (slot.hash != claim.hash || slot.check != claim.check) continue;
    if (slot.version != rules_[slot.limit].version) bring_up_to_date(slot);
    return &slot;
  }
  return nullptr;
}

Shard::Slot* Shard::find(const Claim& claim) {
  const uint64_t second = second_group(claim.hash);
  __builtin_prefetch(&tags_[second]);
  if (Slot* slot = find_in(first_group(claim.hash), claim); slot != nullptr) return slot;
  return find_in(second, claim);
}

bool Shard::is_idle(const Slot& slot, core::Instant now) const {
  const Limit& limit = rules_[slot.limit].limit;
  if (limit.kind == Limit::Kind::concurrency) return slot.level_low == 0;
  Slot present = slot;
  bring_up_to_date(present);
  return is_drained(limit.policy.rate, present.bucket(), now);
}

void Shard::free_slot(uint64_t group, uint32_t index) {
  tags_[group].tags[index] = 0;
  counters_.keys.subtract();
  counters_.swept.add();
}

// Whether there is a free slot in the group afterwards that was none before.
bool Shard::free_drained_in(uint64_t group, core::Instant now, unsigned most) {
  unsigned freed = 0;
  for (uint32_t index = 0; index < group_slots && freed < most; ++index) {
    if (tags_[group].tags[index] == 0) continue;
    ++examined_;
    if (!is_idle(slots_[group * group_slots + index], now)) continue;
    free_slot(group, index);
    ++freed;
  }
  return freed > 0;
}

// One neighbour whose other group has room goes there.
bool Shard::move_a_neighbour(uint64_t group) {
  for (uint32_t index = 0; index < group_slots; ++index) {
    examined_ += 2;
    Slot& slot = slots_[group * group_slots + index];
    const uint64_t first = first_group(slot.hash);
    const uint64_t other = first == group ? second_group(slot.hash) : first;
    const uint32_t free = tags_equal(other, 0);
    if (free == 0) continue;
    const auto place = static_cast<uint32_t>(std::countr_zero(free));
    slots_[other * group_slots + place] = slot;
    tags_[other].tags[place] = tags_[group].tags[index];
    tags_[group].tags[index] = 0;
    return true;
  }
  return false;
}

Shard::Slot* Shard::occupy(uint64_t group, uint32_t index, const Claim& claim) {
  tags_[group].tags[index] = tag_of(claim.hash);
  Slot& slot = slots_[group * group_slots + index];
  slot = {.hash = claim.hash,
          .since = core::Instant{},
          .level_low = 0,
          .level_high = 0,
          .check = claim.check & ((1U << check_bits) - 1),
          .limit = static_cast<uint8_t>(claim.limit),
          .version = rules_[claim.limit].version,
          .reserved = 0};
  counters_.keys.add();
  return &slot;
}

// A slot for a key that has none; nullptr if the table is full for it.
Shard::Slot* Shard::insert(const Claim& claim, core::Instant now) {
  free_drained_in(sweep_, now, group_slots);
  sweep_ = sweep_ + 1 == groups_ ? 0 : sweep_ + 1;
  const uint64_t first = first_group(claim.hash);
  const uint64_t second = second_group(claim.hash);
  const uint32_t free_first = tags_equal(first, 0);
  const uint32_t free_second = tags_equal(second, 0);
  if ((free_first | free_second) != 0) {
    const bool first_has_more = std::popcount(free_first) >= std::popcount(free_second);
    return occupy(
        first_has_more ? first : second,
        static_cast<uint32_t>(std::countr_zero(first_has_more ? free_first : free_second)), claim);
  }
  uint64_t group = first;
  if (!free_drained_in(first, now, 1)) {
    group = second;
    if (!free_drained_in(second, now, 1)) {
      group = first;
      if (!move_a_neighbour(first)) return nullptr;
    }
  }
  return occupy(group, static_cast<uint32_t>(std::countr_zero(tags_equal(group, 0))), claim);
}

}  // namespace sluice::limiter
