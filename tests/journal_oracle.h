// Judges what shards wrote down of their decisions: every one must be what the reference says, key
// by key.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>

#include "limiter/journal.h"
#include "tests/reference_bucket.h"

namespace sluice::tests {

class JournalOracle {
 public:
  explicit JournalOracle(std::span<const limiter::Limit> limits) : limits_(limits) {}

  // What is wrong with one shard's journal, if anything is. With `all_ended` nothing may be set
  // aside at its end.
  [[nodiscard]] std::optional<std::string> judge(const limiter::Journal& journal, bool all_ended) {
    if (journal.lost() > 0) return "the journal is too small";
    keys_.clear();
    for (const limiter::JournalEntry& entry : journal.entries()) {
      if (auto wrong = judge(entry)) return wrong;
    }
    for (const auto& [hash, key] : keys_) {
      if (all_ended && key.places != 0)
        return std::to_string(key.places) + " places in a concurrency limit are still taken";
      if (all_ended && key.bucket.reserved() != 0) return "a reservation is left";
    }
    return std::nullopt;
  }
  // Requests that a limit let in, over all journals that were judged.
  [[nodiscard]] uint64_t admitted(uint16_t limit) const {
    const auto found = admitted_.find(limit);
    return found == admitted_.end() ? 0 : found->second;
  }

 private:
  struct Key {
    explicit Key(const limiter::Policy& policy) : bucket(policy), before(policy) {}
    ReferenceBucket bucket;
    ReferenceBucket before;  // the last charge or reservation
    int64_t places = 0;
  };

  std::optional<std::string> judge(const limiter::JournalEntry& entry) {
    const limiter::Limit& limit = limits_[entry.claim.limit];
    Key& key = keys_.try_emplace(entry.claim.hash, limit.policy).first->second;
    return limit.kind == limiter::Limit::Kind::bucket ? judge_bucket(entry, key)
                                                      : judge_places(entry, key, limit);
  }

  std::optional<std::string> judge_bucket(const limiter::JournalEntry& entry, Key& key) {
    using Event = limiter::JournalEntry::Event;
    const auto say = [&](const char* what) {
      return "limit " + std::to_string(entry.claim.limit) + ": " + what;
    };
    if (entry.event == Event::charged || entry.event == Event::reserved ||
        entry.event == Event::refused) {
      const limiter::Decision expected = key.bucket.decide(entry.at, entry.hold);
      const bool refused = entry.event == Event::refused;
      if (refused != (expected.kind == limiter::Decision::Kind::refuse))
        return say(refused ? "refused what the formula admits"
                           : "admitted what the formula refuses");
      if (!refused &&
          (entry.decision.kind != expected.kind || entry.decision.wait != expected.wait))
        return say("held for another time than the formula says");
    }
    uint64_t& admitted = admitted_[entry.claim.limit];
    switch (entry.event) {
      case Event::charged:
        key.before = key.bucket;
        key.bucket.charge(entry.at);
        ++admitted;
        break;
      case Event::reserved:
        key.before = key.bucket;
        key.bucket.reserve();
        ++admitted;
        break;
      case Event::undone:
        key.bucket = key.before;
        --admitted;
        break;
      case Event::committed:
        key.bucket.unreserve();
        key.bucket.charge(entry.at);
        break;
      case Event::given_back:
        key.bucket.unreserve();
        --admitted;
        break;
      case Event::refused: break;
    }
    if (key.bucket.reserved() < 0) return say("gave back or committed what was not reserved");
    return std::nullopt;
  }

  static std::optional<std::string> judge_places(const limiter::JournalEntry& entry, Key& key,
                                                 const limiter::Limit& limit) {
    using Event = limiter::JournalEntry::Event;
    const bool enforced = limit.enforcement == limiter::Enforcement::enforce;
    switch (entry.event) {
      case Event::charged:
        if (++key.places > limit.concurrent && enforced)
          return "more requests at once than the limit allows";
        break;
      case Event::refused:
        if (key.places < limit.concurrent) return "refused although there was a place";
        break;
      case Event::undone:
      case Event::given_back:
        if (--key.places < 0) return "gave back a place that was not taken";
        break;
      case Event::reserved:
      case Event::committed: return "a place is taken or not, never reserved";
    }
    return std::nullopt;
  }

  std::span<const limiter::Limit> limits_;
  std::map<uint64_t, Key> keys_;
  std::map<uint16_t, uint64_t> admitted_;
};

}  // namespace sluice::tests
