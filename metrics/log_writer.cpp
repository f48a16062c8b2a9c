// The thread that writes, its sinks, and what is said about lost lines.
#include "metrics/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "metrics/access_log.h"

namespace sluice::metrics {

namespace {
constexpr auto period = std::chrono::milliseconds{100};
constexpr auto last_words = std::chrono::seconds{1};
// At least this much fits into a pipe that poll() calls writable, so the write does not block and
// stop() is heard.
constexpr size_t pipe_piece_bytes = 4096;
constexpr size_t stage_bytes = 256 * 1024;
static_assert(stage_bytes > line_bytes_max);

uint64_t lines_in(std::span<const char> text) {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}
}  // namespace

LogWriter::LogWriter(std::string path, std::vector<LogRing*> rings)
    : path_(std::move(path)), rings_(std::move(rings)), stage_(stage_bytes) {
  const int sink = open_sink();
  if (sink < 0 && path_ != log_to_nobody)
    throw std::runtime_error{"can't open log file " + path_ + ": " + std::strerror(errno)};
  use_sink(sink);
}

LogWriter::~LogWriter() {
  stop();
  if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
}

// Never waits: for a reader of a pipe neither.
int LogWriter::open_sink() const {
  if (path_ == log_to_nobody) return -1;
  if (path_ == log_to_stdout) return STDOUT_FILENO;
  if (path_ == log_to_stderr) return STDERR_FILENO;
  struct stat status {};
  const bool is_pipe = ::stat(path_.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
  // To read too: then a pipe needs no reader to be opened, and lives on when the reader goes.
  const int access = is_pipe ? O_RDWR : O_WRONLY | O_CREAT;
  return ::open(path_.c_str(), access | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
}

void LogWriter::use_sink(int descriptor) {
  if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
  descriptor_ = descriptor;
  struct stat status {};
  piece_bytes_ = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode) ? stage_bytes
                                                                               : pipe_piece_bytes;
}

std::optional<std::string> LogWriter::start() {
  return thread_.start([this] {
    work();
    return period;
  });
}

void LogWriter::stop() {
  if (!thread_.is_running()) return;
  thread_.stop();
  give_up_at_ = Clock::now() + last_words;
  write_all(Patience::last_words);
  lose_the_rest();
}

void LogWriter::reopen() {
  ++reopens_asked_;
  wake();
}

void LogWriter::work() {
  if (const uint32_t asked = reopens_asked_; asked != reopens_done_) {
    reopen_now();
    reopens_done_ = asked;
  }
  write_all(Patience::until_told);
}

// Lines that are waiting belong to the new file; if it can't be opened, the old one goes on.
void LogWriter::reopen_now() {
  if (descriptor_ <= STDERR_FILENO) return;
  const int fresh = open_sink();
  if (fresh < 0) {
    const std::string why = std::strerror(errno);
    write_errors_.add();
    const std::lock_guard lock{mutex_};
    notices_.push_back("warning: can't reopen the log " + path_ + ": " + why +
                       "; lines go on into the file that is open");
    return;
  }
  if (at_ < staged_ && is_within_a_line()) {
    while (is_within_a_line()) ++at_;
    lost_.add();
  }
  torn_ = false;
  use_sink(fresh);
}

void LogWriter::write_all(Patience patience) {
  if (at_ < staged_ && !write_staged(patience)) return;
  for (LogRing* ring : rings_) {
    while (fill(*ring)) {
      if (!write_staged(patience)) return;
    }
  }
}

// As many whole lines as there is room for. A ring never ends within a line.
bool LogWriter::fill(LogRing& ring) {
  at_ = staged_ = 0;
  for (const auto piece : ring.readable()) {
    const size_t size = std::min(piece.size(), stage_.size() - staged_);
    std::memcpy(stage_.data() + staged_, piece.data(), size);
    staged_ += size;
  }
  while (staged_ > 0 && stage_[staged_ - 1] != '\n') --staged_;
  ring.consume(staged_);
  return staged_ > 0;
}

bool LogWriter::write_staged(Patience patience) {
  if (descriptor_ < 0) at_ = staged_;
  while (at_ < staged_) {
    if (!wait_for_room(patience)) return false;
    constexpr char line_end = '\n';
    const char* from = torn_ ? &line_end : stage_.data() + at_;
    const size_t size = torn_ ? 1 : std::min(staged_ - at_, piece_bytes_);
    const ssize_t written = ::write(descriptor_, from, size);
    if (written < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      lose_staged(errno);  // disk full, reader gone: these lines are lost, later ones may not be
      return false;
    }
    if (!torn_) at_ += static_cast<size_t>(written);
    torn_ = torn_ && written == 0;
  }
  return true;
}

bool LogWriter::wait_for_room(Patience patience) const {
  while (true) {
    pollfd sink{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    if (::poll(&sink, 1, static_cast<int>(period.count())) != 0) return true;
    const bool gives_up = patience == Patience::last_words
                              ? Clock::now() >= give_up_at_
                              : thread_.is_stopping() || is_reopening();
    if (gives_up) return false;
  }
}

void LogWriter::lose_staged(int why) {
  write_errors_.add();
  last_error_ = why;
  torn_ = torn_ || is_within_a_line();
  lost_.add(lines_in({stage_.data() + at_, staged_ - at_}));
  at_ = staged_ = 0;
}

void LogWriter::lose_the_rest() {
  lost_.add(lines_in({stage_.data() + at_, staged_ - at_}));
  at_ = staged_ = 0;
  for (LogRing* ring : rings_) {
    for (const auto piece : ring->readable()) {
      lost_.add(lines_in(piece));
      ring->consume(piece.size());
    }
  }
}

// --- what is said of it ----------------------------------------------------------------------

uint64_t LogWriter::lines_lost() const {
  uint64_t sum = lost_.get();
  for (const LogRing* ring : rings_) sum += ring->dropped();
  return sum;
}

std::vector<std::string> LogWriter::take_notices(Clock::time_point now) {
  std::vector<std::string> all;
  {
    const std::lock_guard lock{mutex_};
    all.swap(notices_);
  }
  const uint64_t lost = lines_lost();
  if (lost > lost_seen_) {
    if (telling_ == Telling::whole) {
      lost_before_ = lost_seen_;
      const int why = last_error_.exchange(0);
      all.push_back("warning: the access log loses lines: " + path_ + ": " +
                    (why != 0 ? std::strerror(why) : "it takes them more slowly than they come") +
                    "; gateway_log_dropped_total counts them");
    }
    telling_ = Telling::losing;
    lost_seen_ = lost;
    lost_at_ = now;
  } else if (telling_ == Telling::losing && now - lost_at_ >= calm) {
    telling_ = Telling::whole;
    all.push_back("the access log is whole again; " + std::to_string(lost - lost_before_) +
                  " lines were lost");
  }
  return all;
}

}  // namespace sluice::metrics
