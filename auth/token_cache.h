// Tokens that were judged, remembered by all of their bytes: the hash only finds the place, the
// comparison decides. Fixed size; a newer token takes the place of the one in its set that is the
// first to go. Memory is touched only as it is used. One a core.
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
  // Longer tokens, and those with longer claims, are judged each time.
  static constexpr size_t token_bytes_kept_max = 2048;
  using KeptPrincipal = BasicPrincipal<512>;
  static constexpr uint32_t ways = 4;

  // It holds for whoever trusts one of `holders` and none of `rivals`, so that a token is answered
  // on every route as if it had never been seen on another.
  struct Judgement {
    EpochSeconds usable_until;
    ProviderSet holders;
    ProviderSet rivals;
    uint16_t provider;  // that the token is of
    Refusal refusal;
  };
  struct Known {
    const Judgement* judgement = nullptr;      // nullptr: the token is not known
    const KeptPrincipal* principal = nullptr;  // if it was not refused
  };

  // `entries` is a power of two, at least `ways`; `seed` is random for the process.
  // `counters` outlive it.
  TokenCache(uint32_t entries, uint64_t seed, TokenCacheCounters& counters)
      : mask_(entries / ways - 1),
        seed_(seed),
        tags_(entries),
        bodies_(entries),
        counters_(counters) {}

  // The judgement for a route that trusts `providers`, still usable at `now`. Valid until the next
  // call.
  [[nodiscard]] Known find(std::string_view token, ProviderSet providers, EpochSeconds now) {
    const uint64_t hash = hash_of(token);
    const uint64_t first = (hash & mask_) * ways;
    for (uint64_t index = first; index < first + ways; ++index) {
      const Tag& tag = tags_[index];
      if (tag.hash != hash || now >= until(tag) || bodies_[index].token.view() != token) continue;
      const Judgement& judgement = tag.judgement;
      if ((providers & judgement.holders) == 0 || (providers & judgement.rivals) != 0) continue;
      counters_.hits.add();
      return {&tag.judgement, &bodies_[index].principal};
    }
    counters_.misses.add();
    return {};
  }

  // Unless the token is too long. `principal` is null for one that was refused.
  void remember(std::string_view token, const Judgement& judgement, const Principal* principal,
                EpochSeconds now) {
    if (token.size() > token_bytes_kept_max) return;
    if (principal != nullptr && principal->size() > KeptPrincipal::bytes_max) return;
    const uint64_t hash = hash_of(token);
    const uint64_t first = (hash & mask_) * ways;
    uint64_t oldest = first;
    for (uint64_t index = first; index < first + ways; ++index) {
      if (tags_[index].hash == hash && bodies_[index].token.view() == token) {
        oldest = index;
        break;
      }
      if (until(tags_[index]) < until(tags_[oldest])) oldest = index;
    }
    Tag& tag = tags_[oldest];
    if (until(tag) > now && tag.hash != hash) counters_.evictions.add();
    tag = {.hash = hash, .judgement = judgement, .generation = generation_};
    Body& body = bodies_[oldest];
    body.token.assign(token);
    if (principal != nullptr) body.principal.copy(*principal);
  }

  // Nothing that was judged holds any more.
  void clear() { ++generation_; }

  [[nodiscard]] static size_t size_bytes(uint32_t entries) {
    return size_t{entries} * (sizeof(Tag) + sizeof(Body));
  }

 private:
  // Apart from what it is the tag of: to look for a token that is not there, and to choose its
  // place, is to read one set's tags.
  struct Tag {
    uint64_t hash;
    Judgement judgement;
    uint32_t generation;  // of the judgement; older ones hold no more
  };
  struct Body {
    KeptPrincipal principal;
    core::BoundedString<token_bytes_kept_max> token;
  };
  [[nodiscard]] EpochSeconds until(const Tag& tag) const {
    return tag.generation == generation_ ? tag.judgement.usable_until : EpochSeconds{};
  }
  [[nodiscard]] uint64_t hash_of(std::string_view token) const {
    return XXH3_64bits_withSeed(token.data(), token.size(), seed_);
  }

  uint64_t mask_;
  uint64_t seed_;
  uint32_t generation_ = 1;  // 0 is that of entries that were never used
  core::Pages<Tag> tags_;
  core::Pages<Body> bodies_;
  TokenCacheCounters& counters_;
};

}  // namespace sluice::auth
