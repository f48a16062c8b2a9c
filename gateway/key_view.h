// The keys of one configuration: which sources it uses, and the snapshot that its cores judge by.
// Every change becomes one whole snapshot that is published to all cores; the next only when all
// are through with the one before, so two are alive at most.
//
// The control thread makes it, lets it serve and retires it; the keeper's thread does the rest.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/key_snapshot.h"
#include "config/config.h"
#include "core/assert.h"
#include "gateway/key_source.h"

namespace sluice::gateway {

struct KeyAudience {
  std::function<void(const auth::KeySnapshot& snapshot, uint64_t sequence)> publish;
  std::function<bool(uint64_t sequence)> has_acknowledged;  // all cores
};

class KeyView {
 public:
  enum class State : uint8_t {
    waiting,  // not every source has been tried
    ready,    // there is a first snapshot, or there are complaints
    serving,  // the cores have it, and get what is new
    retired,  // no configuration needs it; the keeper may still be at it
    gone,     // the keeper has let go of it, and publishes no more
  };
  enum class Asked : uint8_t { no, yes };  // whether a core waits for the answer, news or not

  explicit KeyView(const config::Config& config);
  KeyView(const KeyView&) = delete;
  KeyView& operator=(const KeyView&) = delete;

  [[nodiscard]] State state() const { return state_.load(std::memory_order_acquire); }
  // Once it is ready. What makes it unusable, a line each.
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }
  // There is none of a view that was refused.
  [[nodiscard]] const auth::KeySnapshot& snapshot() const {
    SLUICE_ASSERT(current_ != nullptr);
    return *current_;
  }
  // The last that was published; all cores are through with it, or will be.
  [[nodiscard]] uint64_t sequence() const { return sequence_.load(std::memory_order_acquire); }

  // --- the control thread ------------------------------------------------------------------
  // It is ready without complaints.
  void serve(KeyAudience audience);
  // Whatever it is.
  void retire() { state_.store(State::retired, std::memory_order_release); }

  // --- the keeper's thread -----------------------------------------------------------------
  struct Use {
    KeySourceId source;
    size_t entry = 0;                        // of auth:; of revocations none
    std::shared_ptr<const KeyContent> good;  // what the snapshot is made of
    uint64_t seen = 0;                       // the version of the source that was looked at
    std::vector<std::string> remarks;        // on what is used all the same
  };
  [[nodiscard]] std::vector<Use>& uses() { return uses_; }
  [[nodiscard]] const config::AuthConfig& entry(const Use& use) const { return auth_[use.entry]; }
  // What speaks against this content in this place; empty: nothing does.
  [[nodiscard]] std::string check(const Use& use, const KeyContent& content) const;
  // Uses the set that this discovery names. Until that has been fetched, what was good stays.
  void follow(KeySourceId discovery, size_t entry, const KeyContent& content);
  void complain(const std::string& text) { complaints_.push_back(text); }
  // The first snapshot, of what is good now, or complaints.
  void become_ready();
  void let_go() { state_.store(State::gone, std::memory_order_release); }
  // Sends what is new, if the cores are through with what they have. Whether it waits for them.
  bool publish();
  void note_news(Asked asked);
  [[nodiscard]] size_t key_count() const { return key_count_; }
  [[nodiscard]] size_t passed_over_count() const { return passed_over_count_; }

 private:
  enum class Due : uint8_t { nothing, publish, rebuild };
  void rebuild();
  void add_keys(Use& use, auth::KeySnapshot& made);

  std::vector<config::AuthConfig> auth_;
  std::vector<Use> uses_;
  std::vector<std::string> complaints_;
  std::unique_ptr<auth::KeySnapshot> current_;
  std::unique_ptr<auth::KeySnapshot> previous_;  // until the cores are through with it
  size_t key_count_ = 0;
  size_t passed_over_count_ = 0;
  std::atomic<State> state_{State::waiting};
  std::atomic<uint64_t> sequence_{0};
  bool is_out_ = false;  // the last sequence is not acknowledged
  Due due_ = Due::nothing;
  KeyAudience audience_;
};

// Lines "ID SALT HASH SUBJECT", salt and hash in hex; `complaint` says what is wrong.
[[nodiscard]] std::vector<auth::ApiKey> read_api_keys(std::string_view text,
                                                      std::string& complaint);

}  // namespace sluice::gateway
