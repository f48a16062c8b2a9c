// The one thread that writes log lines out, with plain write(2), woken by amount or every 100 ms.
// It may wait for a slow sink; no core ever does, and neither opening nor the end waits for
// anybody. At the end it writes what it can within a second.
//
// Lines go out whole: what a failed write left of a line in the sink is ended there, so that it
// never swallows the next. Every line that is in no log is counted, whatever the reason, and said
// once: when lines begin to be lost, and when that is over.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/background.h"
#include "metrics/log_ring.h"
#include "metrics/log_target.h"

namespace sluice::metrics {

// A named pipe may be without a reader: lines wait in it, as many as there is room for.
class LogWriter {
 public:
  using Clock = std::chrono::steady_clock;
  // After the last lost line: whether the log is whole again is said then.
  static constexpr std::chrono::seconds calm{10};

  // Opens the sink, as the user that will write to it. Throws std::runtime_error with a clear
  // message if it can't.
  LogWriter(std::string path, std::vector<LogRing*> rings);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Why there is no thread, or nothing.
  [[nodiscard]] std::optional<std::string> start();
  // Joins, and writes the rest, bounded in time.
  void stop();
  // Any thread: there is a lot to write.
  void wake() { thread_.wake(); }
  // Any thread: the file was moved away; open its name anew (SIGUSR1).
  void reopen();
  // Told to, and not done yet.
  [[nodiscard]] bool is_reopening() const { return reopens_asked_ != reopens_done_; }
  // What the thread does when it is woken; for tests without one.
  void work();

  [[nodiscard]] uint64_t write_errors() const { return write_errors_.get(); }
  // Lines that are in no log: there was no room for them, the sink failed, or the end came first.
  [[nodiscard]] uint64_t lines_lost() const;
  // What the operator must know, once. One thread.
  [[nodiscard]] std::vector<std::string> take_notices(Clock::time_point now);

 private:
  enum class Patience : uint8_t {
    until_told,  // to stop, or to reopen
    last_words,  // until give_up_at_
  };

  int open_sink() const;
  void use_sink(int descriptor);
  void reopen_now();
  void write_all(Patience patience);
  [[nodiscard]] bool fill(LogRing& ring);
  // False when the sink takes no more for now, or failed.
  [[nodiscard]] bool write_staged(Patience patience);
  [[nodiscard]] bool wait_for_room(Patience patience) const;
  void lose_staged(int why);
  void lose_the_rest();
  [[nodiscard]] bool is_within_a_line() const { return at_ > 0 && stage_[at_ - 1] != '\n'; }

  std::string path_;
  std::vector<LogRing*> rings_;
  int descriptor_ = -1;
  size_t piece_bytes_ = 0;   // what one write may take
  std::vector<char> stage_;  // whole lines on their way out: [at_, staged_) is still to be written
  size_t staged_ = 0;
  size_t at_ = 0;
  bool torn_ = false;  // the sink ends within a line whose rest is lost
  std::atomic<uint32_t> reopens_asked_{0};
  std::atomic<uint32_t> reopens_done_{0};
  Clock::time_point give_up_at_{};
  core::Counter write_errors_;
  core::Counter lost_;
  std::atomic<int> last_error_{0};

  std::mutex mutex_;
  std::vector<std::string> notices_;
  // take_notices()' own.
  uint64_t lost_seen_ = 0;
  uint64_t lost_before_ = 0;  // when lines began to be lost
  enum class Telling : uint8_t { whole, losing } telling_ = Telling::whole;
  Clock::time_point lost_at_{};
  core::Background thread_{"sluice-log"};
};

}  // namespace sluice::metrics
