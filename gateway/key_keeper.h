// Keeps what callers are judged by up to date: key sets in files and behind URLs, API keys,
// revocations. One per process, with a thread of its own. Files are looked at five times a second;
// URLs are fetched before they are stale, all at once, and earlier when a token names a key that
// nobody has. What is broken is reported, and the last good stays in use.
//
// Sources outlive configurations: a new one begins with what is known already, and only sources
// that nobody named before are waited for.
//
//   auto view = keeper.admit(config);          // any thread
//   keeper.settle(*view, is_interrupted);      // until it is ready, or somebody interrupts
//   view->serve(audience); ... view->retire();
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "config/guarded_file.h"
#include "core/background.h"
#include "core/random.h"
#include "gateway/fetcher.h"
#include "gateway/key_view.h"
#include "proxy/key_wish.h"

namespace sluice::gateway {

// Of all sources together.
struct KeyCounters {
  core::Counter refreshed;     // snapshots with news
  core::Counter failures;      // files and URLs that could not be used
  core::Counter keys;          // of the newest configuration
  core::Counter passed_over;   // entries of key sets that are of no use here
  core::Counter changed_at_s;  // since 1970: when a snapshot was last made
};

class KeyKeeper {
 public:
  using Clock = KeySource::Clock;
  using TakePart = std::function<void(std::string_view part)>;
  // Time, files and the network, which a test makes up.
  struct World {
    std::function<Clock::time_point()> now;
    std::function<void(uint64_t ticket, const Question& question)> ask;
    std::function<Fetcher::Answers(std::chrono::milliseconds wait)> answers;
    std::function<std::string(const std::string& path)> stamp;
    // As config::read_file_by_parts().
    std::function<config::FileReading(const std::string& path, size_t most, config::FileHolds holds,
                                      const TakePart& take)>
        read;
    std::function<void(const std::string& path, const std::string& text)> write;
    uint64_t seed = 0;  // of the jitter; 0: any
  };
  [[nodiscard]] static World real_world();

  explicit KeyKeeper(World world = real_world());
  ~KeyKeeper();
  KeyKeeper(const KeyKeeper&) = delete;
  KeyKeeper& operator=(const KeyKeeper&) = delete;

  // Why there is no thread, or nothing. Without one, tick() and settle() do its work.
  [[nodiscard]] std::optional<std::string> start();
  void stop();

  // --- any thread ----------------------------------------------------------------------------
  // The keys of this configuration; waiting, until all its sources have been tried.
  [[nodiscard]] std::shared_ptr<KeyView> admit(const config::Config& config);
  // False if `is_interrupted` said so first; it is asked every few milliseconds.
  bool settle(const KeyView& view, const std::function<bool()>& is_interrupted = {});
  // There may be something new to do.
  void wake() { thread_.wake(); }
  // By what cores ask for new keys.
  [[nodiscard]] proxy::KeyWish& wish() { return wish_; }
  [[nodiscard]] std::vector<std::string> take_notices();
  [[nodiscard]] const KeyCounters& counters() const { return counters_; }
  template <typename Visit>
  void for_each_source(Visit&& visit) const {
    const std::lock_guard lock{mutex_};
    for (const auto& [id, source] : sources_) visit(id, source->counters);
  }

  // One round of its work; for how long there is nothing more to do.
  std::chrono::milliseconds tick();

 private:
  using Views = std::vector<std::shared_ptr<KeyView>>;
  enum class Patience : uint8_t { none, some };  // with those who are asked
  enum class Wished : uint8_t { no, yes };       // a core has met a token of a key that nobody has

  [[nodiscard]] Views take_views();
  void learn(KeyView& view);
  void meet_sources(const Views& views);
  void look_at_file(const KeySourceId& id, KeySource& source, const Views& views);
  [[nodiscard]] bool has_settled(const KeySourceId& id, KeySource& source,
                                 const std::string& stamp) const;
  // What stands in it; `complaint` says why it is of no use.
  [[nodiscard]] KeyContent read_file(const KeySourceId& id, const KeySource& source,
                                     std::string& complaint) const;
  [[nodiscard]] config::WholeFile read_whole(const std::string& path, size_t most,
                                             config::FileHolds holds) const;
  [[nodiscard]] Question question_for(const KeySourceId& id);
  void begin_due(Wished wished);
  void take_answers(const Views& views, Patience patience);
  void take_answer(const KeySourceId& id, KeySource& source, const Fetched& fetched,
                   const Views& views);
  // Of the uses in all views; the first that is good decides.
  void accept(const KeySourceId& id, KeySource& source, KeyContent content, const Views& views);
  void refuse(const KeySourceId& id, KeySource& source, const std::string& complaint);
  void use_copy(const KeySourceId& id, KeySource& source, const Views& views);
  [[nodiscard]] const config::KeySources* settings(const KeySourceId& id, const Views& views) const;
  // Whether an answer is to come to one of the first so many questions.
  [[nodiscard]] bool is_asking(uint64_t tickets) const;
  void bring_news(KeyView& view);
  void complete(KeyView& view, const Views& views);
  // Whether a configuration that cores judge by uses it.
  [[nodiscard]] static bool is_at_work(const KeySourceId& id, const Views& views);
  void note_snapshot(KeyView& view);
  void notice(const std::string& text);
  [[nodiscard]] static uint64_t seconds_since_1970();

  World world_;
  core::Random random_;
  KeyCounters counters_;
  core::Background thread_{"sluice-keys"};
  proxy::KeyWish wish_{&thread_.waker()};

  mutable std::mutex mutex_;  // of views_, notices_ and which sources there are; never held long
  Views views_;
  std::vector<std::string> notices_;
  std::map<KeySourceId, std::unique_ptr<KeySource>> sources_;

  // --- the keeper's thread
  uint64_t tickets_ = 0;
  std::optional<uint64_t> owed_;  // cores wait for what had been asked by then: a ticket
  Clock::time_point look_at_{};
};

}  // namespace sluice::gateway
