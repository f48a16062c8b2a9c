// The limits of one request, in the order in which their owners are asked.
#include "proxy/limit_check.h"

#include <algorithm>

#include "core/assert.h"

namespace sluice::proxy {

using limiter::Decision;
using limiter::Visit;

void LimitCheck::begin_stage() {
  stage_begin_ = cursor_ = count_;
  verdict_ = {};
}

void LimitCheck::add(const limiter::Claim& claim, limiter::Limit::Kind kind, uint32_t owner) {
  SLUICE_ASSERT(count_ < items_.size());
  uint8_t place = count_++;
  const auto comes_after = [&](const Item& item) {
    return item.owner > owner || (item.owner == owner && item.claim.limit > claim.limit);
  };
  for (; place > stage_begin_ && comes_after(items_[place - 1U]); --place)
    items_[place] = items_[place - 1U];
  items_[place] = {.claim = claim, .owner = owner, .kind = kind};
}

void LimitCheck::begin_asking(limiter::HoldLimit hold) {
  hold_ = hold;
  phase_ = Phase::asking;
}

bool LimitCheck::is_clear() const {
  return std::none_of(items_.begin(), items_.begin() + count_,
                      [](const Item& item) { return item.have != Have::nothing; });
}

void LimitCheck::put(LimitVisit& visit, uint8_t item) {
  visited_[visit.count] = item;
  visit.taken = static_cast<uint8_t>(visit.taken | 1U << visit.count);
  visit.claims[visit.count++] = items_[item].claim;
}

bool LimitCheck::next(LimitVisit& visit, uint32_t& owner) {
  visit.count = visit.taken = 0;
  visit.hold = hold_;
  if (phase_ == Phase::asking) {
    if (next_to_ask(visit, owner)) return true;
    phase_ = verdict_.kind == Decision::Kind::refuse ? Phase::giving_back : Phase::committing;
  }
  if (phase_ == Phase::settled) return false;
  if (next_that_has(visit, owner)) return true;
  phase_ = Phase::settled;
  return false;
}

bool LimitCheck::next_to_ask(LimitVisit& visit, uint32_t& owner) {
  if (cursor_ == count_) return false;
  const bool is_first = cursor_ == stage_begin_;
  owner = items_[cursor_].owner;
  while (cursor_ < count_ && items_[cursor_].owner == owner) put(visit, cursor_++);
  if (verdict_.kind == Decision::Kind::refuse && !is_first) {
    visit.visit = Visit::probe;
  } else {
    visit.visit = cursor_ == count_ ? Visit::decide : Visit::reserve;
  }
  return true;
}

// The first core that has something to be committed or given back, and all of it.
bool LimitCheck::next_that_has(LimitVisit& visit, uint32_t& owner) {
  const bool committing = phase_ == Phase::committing;
  visit.visit = committing ? Visit::commit : Visit::give_back;
  for (uint8_t index = 0; index < count_; ++index) {
    const Item& item = items_[index];
    if (item.have == Have::nothing || (committing && item.have != Have::reserved)) continue;
    if (visit.count == 0) owner = item.owner;
    if (item.owner == owner) put(visit, index);
  }
  return visit.count > 0;
}

void LimitCheck::absorb(const LimitVisit& visit) {
  for (uint8_t index = 0; index < visit.count; ++index) {
    Item& item = items_[visited_[index]];
    const bool taken = (visit.verdict.taken >> index & 1) != 0;
    const bool is_place = item.kind == limiter::Limit::Kind::concurrency;
    switch (visit.visit) {
      case Visit::decide: item.have = taken && is_place ? Have::place : Have::nothing; break;
      case Visit::reserve:
        item.have = !taken ? Have::nothing : is_place ? Have::place : Have::reserved;
        break;
      case Visit::commit:
      case Visit::give_back: item.have = Have::nothing; break;
      case Visit::probe: break;
    }
  }
  if (visit.visit != Visit::commit && visit.visit != Visit::give_back)
    merge(verdict_, visit.verdict);
}

}  // namespace sluice::proxy
