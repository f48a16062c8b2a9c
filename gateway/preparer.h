// The thread on which the next configuration is prepared: files are read, names looked up, keys
// fetched and endpoints asked there, while the control thread goes on. There before the first
// reload is promised.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "core/background.h"
#include "gateway/reloader.h"

namespace sluice::gateway {

class Preparer {
 public:
  // Prepares one; may take long, and asks now and then whether it is to be given up.
  using Work = std::function<Preparation(const std::function<bool()>& is_interrupted)>;

  Preparer();
  ~Preparer();
  Preparer(const Preparer&) = delete;
  Preparer& operator=(const Preparer&) = delete;

  // Why there is no thread, or nothing.
  [[nodiscard]] std::optional<std::string> start();
  // --- the control thread
  void begin(Work work);
  // What came of it, once; nothing: it is not done.
  [[nodiscard]] std::optional<Preparation> take();
  // Readable when there is something to take; -1: look now and then.
  [[nodiscard]] int descriptor() const { return done_event_; }
  // It is given up; stop() waits for that.
  void ask_to_stop() { thread_.ask_to_stop(); }
  void stop() { thread_.stop(); }

 private:
  std::chrono::milliseconds run_one();

  int done_event_;
  core::Background thread_{"sluice-prepare"};
  std::mutex mutex_;  // of what follows; not held while something is prepared
  Work work_;
  std::optional<Preparation> done_;
};

}  // namespace sluice::gateway
