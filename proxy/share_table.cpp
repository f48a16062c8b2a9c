// Counts by key in a table of fixed size.
#include "proxy/share_table.h"

#include <bit>
#include <numeric>

#include "core/assert.h"

namespace sluice::proxy {

ShareTable::ShareTable(uint32_t members_max)
    : shares_(members_max),
      free_(members_max),
      slots_(std::bit_ceil(2 * uint64_t{members_max} + 1), none) {
  std::iota(free_.rbegin(), free_.rend(), 0);
}

uint64_t ShareTable::size_bytes(uint32_t members_max) {
  return members_max * (sizeof(Share) + sizeof(uint32_t)) +
         std::bit_ceil(2 * uint64_t{members_max} + 1) * sizeof(uint32_t);
}

uint64_t ShareTable::find(uint64_t hash) const {
  uint64_t slot = home(hash);
  while (slots_[slot] != none && shares_[slots_[slot]].hash != hash) slot = after(slot);
  return slot;
}

Share& ShareTable::join(uint64_t hash) {
  const uint64_t slot = find(hash);
  if (slots_[slot] == none) {
    SLUICE_ASSERT(!free_.empty());
    slots_[slot] = free_.back();
    free_.pop_back();
    shares_[slots_[slot]] = {.hash = hash};
    ++keys_;
  }
  Share& share = shares_[slots_[slot]];
  ++share.members;
  return share;
}

uint32_t ShareTable::members(uint64_t hash) const {
  const uint64_t slot = find(hash);
  return slots_[slot] == none ? 0 : shares_[slots_[slot]].members;
}

uint32_t ShareTable::connections(uint64_t hash) const {
  const uint64_t slot = find(hash);
  return slots_[slot] == none ? 0 : shares_[slots_[slot]].connections;
}

// Those behind it move up, so that no search ends too early.
void ShareTable::leave(Share& share) {
  SLUICE_ASSERT(share.members > 0);
  if (--share.members > 0) return;
  SLUICE_ASSERT(share.connections == 0 && share.exchanges == 0 && share.upstream == 0);
  uint64_t hole = find(share.hash);
  free_.push_back(slots_[hole]);
  --keys_;
  for (uint64_t slot = after(hole); slots_[slot] != none; slot = after(slot)) {
    const uint64_t from = home(shares_[slots_[slot]].hash);
    const bool may_move = hole <= slot ? from <= hole || from > slot : from <= hole && from > slot;
    if (!may_move) continue;
    slots_[hole] = slots_[slot];
    hole = slot;
  }
  slots_[hole] = none;
}

}  // namespace sluice::proxy
