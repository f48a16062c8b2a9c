// Keeps what callers are judged by up to date: key sets in files and behind URLs, API keys,
// revocations. One thread of its own, because fetching may take seconds. Files are looked at five
// times a second; URLs are fetched before they are stale, and once earlier when a token names a key
// that nobody has. What is broken is reported, and the last good stays in use.
//
// Every change becomes one whole snapshot that is published to all cores. The next is published
// only when all are through with the one before, so two are alive at most.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "auth/jwks.h"
#include "auth/key_snapshot.h"
#include "config/config.h"
#include "core/counter.h"
#include "core/random.h"
#include "gateway/key_fetch.h"
#include "proxy/key_wish.h"

namespace sluice::gateway {

// They outlive keepers: a new configuration brings a new one.
struct KeyCounters {
  core::Counter refreshed;     // snapshots with news
  core::Counter failures;      // files and URLs that could not be used
  core::Counter keys;          // in the present snapshot
  core::Counter passed_over;   // entries of key sets that are of no use here
  core::Counter changed_at_s;  // since 1970: when that was made
};

class KeyKeeper {
 public:
  struct Audience {
    std::function<void(const auth::KeySnapshot& snapshot, uint64_t sequence)> publish;
    std::function<bool(uint64_t sequence)> has_acknowledged;  // all cores
  };
  enum class Reason : uint8_t {
    time,  // it is time to look
    kid,   // a token names a key that nobody has
  };
  using Clock = std::chrono::steady_clock;
  // Time and the network, which a test makes up.
  struct World {
    std::function<Clock::time_point()> now = Clock::now;
    std::function<Fetched(const FetchRequest& request)> fetch = fetch_keys;
    uint64_t seed = 0;  // of the jitter; 0: any
  };

  // `counters`, if given, outlive it.
  explicit KeyKeeper(const config::Config& config, KeyCounters* counters = nullptr);
  KeyKeeper(const config::Config& config, World world, KeyCounters* counters = nullptr);
  ~KeyKeeper();
  KeyKeeper(const KeyKeeper&) = delete;
  KeyKeeper& operator=(const KeyKeeper&) = delete;

  // Reads and fetches everything for the first time. What makes starting impossible, a line each.
  [[nodiscard]] std::vector<std::string> load();
  [[nodiscard]] const auth::KeySnapshot& snapshot() const { return *current_; }
  // One look at everything, as the thread has five times a second; whether there is a new snapshot.
  // For tests without it.
  bool look(Reason reason);

  void start(Audience audience);
  // No worker waits for keys any more, but all still take messages.
  void stop();
  // By what cores ask for new keys.
  [[nodiscard]] proxy::KeyWish& wish() { return wish_; }
  [[nodiscard]] std::vector<std::string> take_notices();
  [[nodiscard]] const KeyCounters& counters() const { return counters_; }
  // The last that was published; all cores are through with it, or will be.
  [[nodiscard]] uint64_t sequence() const { return sequence_; }

 private:
  // What one file or URL last said.
  struct Source {
    std::string stamp;                 // of a file: what tells that it changed
    std::string text;                  // the last good content
    std::vector<std::string> remarks;  // that were made of it
    bool is_loaded = false;
    std::string seen;  // the stamp of a new content, until it has stayed the same for a while
    Clock::time_point seen_at{};
    Clock::time_point fetched_at{};
    Clock::time_point due_at{};
  };
  enum class Outcome : uint8_t { unchanged, changed, broken };

  void run();
  [[nodiscard]] bool refresh(Reason reason);
  using Check = std::function<std::string(const std::string& text)>;
  // Whether half a file passes for a whole one: lines do, JSON does not.
  enum class Form : uint8_t { json, lines };
  Outcome refresh_file(const std::string& path, Form form, const Check& check);
  Outcome refresh_revocations();
  [[nodiscard]] bool is_new(const std::string& path, Source& source, Form form);
  Outcome refresh_key_set(const config::AuthConfig& entry, Reason reason);
  Outcome refresh_url(const std::string& url, const config::AuthConfig& entry, Reason reason,
                      const Check& check);
  [[nodiscard]] FetchRequest request_for(const std::string& url, const config::AuthConfig& entry);
  // The URL of the key set: the configured one, or what was discovered; empty: not known yet.
  [[nodiscard]] std::string key_set_url(const config::AuthConfig& entry);
  void use_copy(const config::AuthConfig& entry, Source& source);
  [[nodiscard]] std::string check_keys(const config::AuthConfig& entry, const std::string& text,
                                       auth::KeySetOrigin origin) const;
  void remark(const std::string& name, const config::AuthConfig& entry,
              const auth::KeySetReading& reading);
  void rebuild();
  void publish();
  void complain(const std::string& text);
  [[nodiscard]] std::vector<std::string> take_complaints();
  void notice(const std::string& text);

  const config::Config& config_;
  KeyCounters own_counters_;
  KeyCounters& counters_;
  World world_;
  std::map<std::string, Source> sources_;  // by path or URL
  auth::Revocations revocations_;          // the last good ones
  std::vector<std::string> complaints_;    // while loading for the first time
  std::unique_ptr<auth::KeySnapshot> current_;
  std::unique_ptr<auth::KeySnapshot> previous_;  // until all cores are through with it
  uint64_t sequence_ = 0;
  core::Random random_;
  Audience audience_;
  std::mutex mutex_;  // of notices_
  std::vector<std::string> notices_;
  proxy::KeyWish wish_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Lines "ID SALT HASH SUBJECT", salt and hash in hex; `complaint` says what is wrong.
[[nodiscard]] std::vector<auth::ApiKey> read_api_keys(std::string_view text,
                                                      std::string& complaint);

}  // namespace sluice::gateway
