// Verified tokens, remembered by all of their bytes: the hash only finds the place, the comparison decides. Fixed size;
// a newer token takes the place of an older one that points to the same set. One a core.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "auth/principal.h"
#include "core/bounded_string.h"
#include "core/counter.h"

namespace sluice::auth {

struct TokenCacheCounters {
  core::Counter hits;
  core::Counter misses;
  core::Counter evictions;
};

class TokenCache {
 public:
  static constexpr size_t token_bytes_kept_max = 768;  // longer tokens are verified each time
  static constexpr uint32_t ways = 4;

  // `entries` is a power of two; `seed` is random for the process.
  TokenCache(uint32_t entries, uint64_t seed) : mask_(entries / ways - 1), seed_(seed), entries_(new Entry[entries]) {}

  // The principal of a token that was verified and has not expired at `now`, or nullptr. Valid until the next call.
  [[nodiscard]] const Principal* find(std::string_view token, EpochSeconds now) {
    const uint64_t hash = hash_of(token);
    for (Entry& entry : set(hash)) {
      if (entry.hash == hash && entry.token.view() == token && now < entry.usable_until) {
        counters_.hits.add();
        return &entry.principal;
      }
    }
    counters_.misses.add();
    return nullptr;
  }

  void remember(std::string_view token, const Principal& principal, EpochSeconds usable_until, EpochSeconds now) {
    if (token.size() > token_bytes_kept_max) return;
    const uint64_t hash = hash_of(token);
    Entry* oldest = nullptr;
    for (Entry& entry : set(hash)) {
      if (oldest == nullptr || entry.usable_until < oldest->usable_until) oldest = &entry;
    }
    if (oldest->usable_until > now) counters_.evictions.add();
    oldest->hash = hash;
    oldest->token.assign(token);
    oldest->principal = principal;
    oldest->usable_until = usable_until;
  }

  [[nodiscard]] const TokenCacheCounters& counters() const { return counters_; }
  [[nodiscard]] static size_t size_bytes(uint32_t entries) { return size_t{entries} * sizeof(Entry); }

 private:
  struct Entry {
    uint64_t hash = 0;
    EpochSeconds usable_until{};
    core::BoundedString<token_bytes_kept_max> token;
    Principal principal;
  };
  struct Set {
    Entry* first;
    [[nodiscard]] Entry* begin() const { return first; }
    [[nodiscard]] Entry* end() const { return first + ways; }
  };
  [[nodiscard]] uint64_t hash_of(std::string_view token) const { return XXH3_64bits_withSeed(token.data(), token.size(), seed_); }
  [[nodiscard]] Set set(uint64_t hash) { return {&entries_[(hash & mask_) * ways]}; }

  uint64_t mask_;
  uint64_t seed_;
  std::unique_ptr<Entry[]> entries_;
  TokenCacheCounters counters_;
};

}  // namespace sluice::auth
