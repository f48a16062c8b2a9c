// What a limit counts, as a shard needs to know it; and what a shard is asked and answers. Names,
// keys and stages of limits are the proxy's business.
#pragma once

#include <array>
#include <cstdint>

#include "limiter/bucket.h"

namespace sluice::limiter {

enum class Enforcement : uint8_t {
  enforce,
  dry_run
};  // dry_run: decided and counted, and let through

// Whether clients are told of it, with every answer.
enum class Announcement : uint8_t { announced, silent };

// One limit counts one thing: requests by a leaky bucket, or requests at once.
struct Limit {
  enum class Kind : uint8_t { bucket, concurrency };
  Kind kind = Kind::bucket;
  Enforcement enforcement = Enforcement::enforce;
  Announcement announcement = Announcement::announced;
  Policy policy;            // bucket
  uint32_t concurrent = 0;  // concurrency: requests at once, at least 1
};

inline constexpr unsigned limits_per_request_max = 8;
inline constexpr uint16_t no_limit = UINT16_MAX;

// One key of one limit. `hash` places it and is never 0; `check` tells it from another key with the
// same hash.
inline constexpr unsigned check_bits = 24;
struct Claim {
  uint64_t hash = 0;
  uint16_t limit = 0;
  uint32_t check = 0;  // of `check_bits` bits
};

// Why a core is visited, with all the claims of a request whose keys it owns.
enum class Visit : uint8_t {
  decide,     // no other core has a say after this one: charge all, or refuse and charge none
  reserve,    // others are asked next: set aside what all of them need, or refuse and set nothing
              // aside
  probe,      // refused elsewhere: only how long it would take here
  commit,     // everybody agreed: what was set aside is charged
  give_back,  // what was set aside and won't be used, and places in concurrency limits
};

// Of the limits that a request was let in by and that are announced, the one nearest to refusing.
struct Nearest {
  uint16_t limit = no_limit;
  Left left;  // more_in is 0 where no time brings more
  bool operator==(const Nearest&) const = default;
};
// Of two, the one with less left; with as much, the one that is longer in getting more.
void merge(Nearest& into, const Nearest& other);

struct Verdict {
  Decision::Kind kind = Decision::Kind::pass;
  core::Duration retry_after{};      // refuse: the longest wait of those that refuse
  core::Instant release_at{};        // hold: when its turn has come; the latest of all
  uint16_t refused_by = no_limit;    // refuse: the limit with that wait
  uint16_t would_refuse = no_limit;  // a limit in dry run that would have refused
  Nearest nearest;                   // pass and hold
  uint8_t taken = 0;  // a bit a claim: it has something that give_back or commit refers to
};
static_assert(limits_per_request_max <= 8, "Verdict::taken has a bit a claim");

// Two verdicts about the same request: any refusal refuses, the longest wait counts.
void merge(Verdict& into, const Verdict& other);

}  // namespace sluice::limiter
