// The limits of one request, and how far asking about them is. Keys that one core owns are decided
// in one visit; where several cores have a say, each sets aside what is needed, in the order of the
// cores, and the last one decides: then the others commit, or give back. So no bucket admits more
// than it allows, and a refusal charges nobody.
//
// A plain machine: it says whom to visit next and is told the answer. Embedded in its exchange.
#pragma once

#include <array>
#include <cstdint>

#include "core/unset_array.h"
#include "limiter/limit.h"

namespace sluice::proxy {

// What is asked of a core, and what it answers; travels in the exchange's message.
struct LimitVisit {
  limiter::Visit visit = limiter::Visit::decide;
  limiter::HoldLimit hold;
  uint8_t count = 0;
  uint8_t taken = 0;  // of commit and give_back
  core::UnsetArray<limiter::Claim, limiter::limits_per_request_max> claims;
  limiter::Verdict verdict;
};

class LimitCheck {
 public:
  // Limits are asked in stages; what an earlier stage took stays.
  void begin_stage();
  // At most limits_per_request_max in all stages together.
  void add(const limiter::Claim& claim, limiter::Limit::Kind kind, uint32_t owner);
  void begin_asking(limiter::HoldLimit hold);
  [[nodiscard]] bool is_empty() const { return count_ == 0; }
  // What the first limit counts by; if any does.
  [[nodiscard]] uint64_t first_hash() const { return items_[0].claim.hash; }

  // The next visit, if there is one; otherwise the verdict is there.
  [[nodiscard]] bool next(LimitVisit& visit, uint32_t& owner);
  void absorb(const LimitVisit& visit);
  [[nodiscard]] const limiter::Verdict& verdict() const { return verdict_; }

  // The request has ended: next() visits whoever still has something of it.
  void begin_giving_back() { phase_ = Phase::giving_back; }
  // Nothing is reserved and no place is taken anywhere.
  [[nodiscard]] bool is_clear() const;

 private:
  enum class Phase : uint8_t {
    settled,      // nobody need be visited
    asking,       // core by core
    committing,   // all agreed: what was reserved is charged
    giving_back,  // somebody refused, or the request has ended
  };
  enum class Have : uint8_t {
    nothing,   // or a charge, which stays
    reserved,  // set aside, not yet charged
    place,     // in a concurrency limit
  };
  struct Item {
    limiter::Claim claim;
    uint32_t owner = 0;
    limiter::Limit::Kind kind = limiter::Limit::Kind::bucket;
    Have have = Have::nothing;
  };

  [[nodiscard]] bool next_to_ask(LimitVisit& visit, uint32_t& owner);
  [[nodiscard]] bool next_that_has(LimitVisit& visit, uint32_t& owner);
  void put(LimitVisit& visit, uint8_t item);

  Phase phase_ = Phase::settled;
  uint8_t count_ = 0;
  uint8_t stage_begin_ = 0;
  uint8_t cursor_ = 0;  // asking: the next item
  limiter::HoldLimit hold_;
  std::array<uint8_t, limiter::limits_per_request_max>
      visited_{};  // items of the visit that is out, in its order
  core::UnsetArray<Item, limiter::limits_per_request_max>
      items_;  // of a stage: by owner, then by limit
  limiter::Verdict verdict_;
};

}  // namespace sluice::proxy
