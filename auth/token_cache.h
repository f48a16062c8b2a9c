// Tokens that were judged, remembered by all of their bytes: the hash only finds the place, the comparison decides. Fixed
// size; a newer token takes the place of the one in its set that is the first to go. Memory is touched only as it is used.
// One a core.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <string_view>

#include "auth/principal.h"
#include "auth/provider.h"
#include "auth/refusal.h"
#include "core/bounded_string.h"
#include "core/counter.h"
#include "core/pages.h"

namespace sluice::auth {

struct TokenCacheCounters {
  core::Counter hits;
  core::Counter misses;
  core::Counter evictions;
};

class TokenCache {
 public:
  static constexpr size_t token_bytes_kept_max = 2048;  // longer tokens are judged each time
  static constexpr uint32_t ways = 4;

  struct Entry {
    uint64_t hash;
    EpochSeconds usable_until;
    uint32_t generation;    // of the judgement; older ones hold no more
    ProviderSet providers;  // for which the judgement holds
    uint16_t provider;      // that the token is of
    Refusal refusal;
    core::BoundedString<token_bytes_kept_max> token;
    Principal principal;  // if it was not refused
  };

  // `entries` is a power of two, at least `ways`; `seed` is random for the process.
  // `counters` outlive it.
  TokenCache(uint32_t entries, uint64_t seed, TokenCacheCounters& counters)
      : mask_(entries / ways - 1), seed_(seed), entries_(entries), counters_(counters) {}

  // The judgement for one of `providers`, still usable at `now`; or nullptr. Valid until the next call.
  [[nodiscard]] const Entry* find(std::string_view token, ProviderSet providers, EpochSeconds now) {
    const uint64_t hash = hash_of(token);
    const uint64_t first = (hash & mask_) * ways;
    for (uint64_t index = first; index < first + ways; ++index) {
      const Entry& entry = entries_[index];
      if (entry.hash != hash || now >= until(entry) || entry.token.view() != token) continue;
      // A good token is good wherever its provider is trusted; a bad one only for whom it was refused.
      const bool holds = entry.refusal == Refusal::none ? (providers & entry.providers) != 0 : providers == entry.providers;
      if (!holds) continue;
      counters_.hits.add();
      return &entry;
    }
    counters_.misses.add();
    return nullptr;
  }

  // A place for the token; everything but token and hash is for the caller to fill. nullptr if it is too long.
  Entry* remember(std::string_view token, EpochSeconds now) {
    if (token.size() > token_bytes_kept_max) return nullptr;
    const uint64_t hash = hash_of(token);
    const uint64_t first = (hash & mask_) * ways;
    Entry* oldest = &entries_[first];
    for (uint64_t index = first; index < first + ways; ++index) {
      Entry& entry = entries_[index];
      if (entry.hash == hash && entry.token.view() == token) {
        oldest = &entry;
        break;
      }
      if (until(entry) < until(*oldest)) oldest = &entry;
    }
    if (until(*oldest) > now && oldest->hash != hash) counters_.evictions.add();
    oldest->hash = hash;
    oldest->generation = generation_;
    oldest->token.assign(token);
    return oldest;
  }

  // Nothing that was judged holds any more.
  void clear() { ++generation_; }

  [[nodiscard]] static size_t size_bytes(uint32_t entries) { return size_t{entries} * sizeof(Entry); }

 private:
  [[nodiscard]] EpochSeconds until(const Entry& entry) const {
    return entry.generation == generation_ ? entry.usable_until : EpochSeconds{};
  }
  [[nodiscard]] uint64_t hash_of(std::string_view token) const { return XXH3_64bits_withSeed(token.data(), token.size(), seed_); }

  uint64_t mask_;
  uint64_t seed_;
  uint32_t generation_ = 1;  // 0 is that of entries that were never used
  core::Pages<Entry> entries_;
  TokenCacheCounters& counters_;
};

}  // namespace sluice::auth
