// The one thread that writes log lines out, with plain write(2), woken by amount or every 100 ms.
// It may block on a slow sink; no core ever does. At the end it writes what it can within a second.
#pragma once

#include <atomic>
#include <chrono>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "metrics/log_ring.h"

namespace sluice::metrics {

// "-" is standard output, "none" is nowhere, anything else is a file to append to.
class LogWriter {
 public:
  // Opens the sink. Throws std::runtime_error with a clear message if it can't.
  LogWriter(std::string path, std::vector<LogRing*> rings);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  void start();
  // Writes the rest, bounded in time, and joins.
  void stop();
  // Any thread: there is a lot to write.
  void wake();
  // Any thread: the file was moved away; open its name anew (SIGUSR1).
  void reopen();
  [[nodiscard]] uint64_t write_errors() const { return write_errors_.get(); }

 private:
  void run();
  void write_all(bool bounded);
  // False when the sink takes no more for now (only when bounded) or failed.
  bool write_piece(LogRing& ring, std::span<const char> piece, bool bounded);
  int open_sink() const;

  std::string path_;
  std::vector<LogRing*> rings_;
  int descriptor_ = -1;
  size_t piece_bytes_ = 0;  // what one write may take
  std::atomic<bool> stopping_{false};
  std::atomic<bool> reopening_{false};
  std::atomic<bool> awake_{false};
  std::counting_semaphore<> wake_{0};
  std::chrono::steady_clock::time_point give_up_at_{};
  core::Counter write_errors_;
  std::thread thread_;
};

}  // namespace sluice::metrics
