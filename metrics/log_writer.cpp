#include "metrics/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "core/affinity.h"

namespace sluice::metrics {

namespace {
constexpr auto period = std::chrono::milliseconds{100};
constexpr auto last_words = std::chrono::seconds{1};
// At least this much fits into a pipe that poll() calls writable, so the write does not block and
// stop() is heard.
constexpr size_t pipe_piece_bytes = 4096;
constexpr size_t file_piece_bytes = 256 * 1024;
}  // namespace

LogWriter::LogWriter(std::string path, std::vector<LogRing*> rings)
    : path_(std::move(path)), rings_(std::move(rings)) {
  descriptor_ = open_sink();
  if (descriptor_ < 0 && path_ != "none")
    throw std::runtime_error{"can't open log file " + path_ + ": " + std::strerror(errno)};
  struct stat status {};
  piece_bytes_ = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode) ? file_piece_bytes
                                                                               : pipe_piece_bytes;
}

LogWriter::~LogWriter() {
  stop();
  if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
}

int LogWriter::open_sink() const {
  if (path_ == "none") return -1;
  if (path_ == "-") return STDOUT_FILENO;
  return ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

void LogWriter::start() {
  thread_ = std::thread{[this] { run(); }};
}

void LogWriter::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake_.release();
  thread_.join();
}

void LogWriter::wake() {
  if (!awake_.exchange(true)) wake_.release();
}

void LogWriter::reopen() {
  reopening_ = true;
  wake();
}

void LogWriter::run() {
  core::enter_thread("sluice-log", -1);
  while (!stopping_) {
    static_cast<void>(wake_.try_acquire_for(period));
    awake_ = false;
    if (reopening_.exchange(false) && descriptor_ > STDERR_FILENO) {
      // Lines that are waiting belong to the new file; if it can't be opened, the old one goes on.
      if (const int fresh = open_sink(); fresh >= 0) {
        ::close(descriptor_);
        descriptor_ = fresh;
      } else {
        write_errors_.add();
      }
    }
    write_all(false);
  }
  give_up_at_ = std::chrono::steady_clock::now() + last_words;
  write_all(true);
}

void LogWriter::write_all(bool bounded) {
  for (LogRing* ring : rings_) {
    for (const auto piece : ring->readable()) {
      if (!piece.empty() && !write_piece(*ring, piece, bounded)) break;
    }
  }
}

bool LogWriter::write_piece(LogRing& ring, std::span<const char> piece, bool bounded) {
  if (descriptor_ < 0) {
    ring.consume(piece.size());
    return true;
  }
  while (!piece.empty()) {
    pollfd sink{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    if (::poll(&sink, 1, static_cast<int>(period.count())) == 0) {
      if (bounded ? std::chrono::steady_clock::now() >= give_up_at_ : stopping_.load())
        return false;
      continue;
    }
    const ssize_t written =
        ::write(descriptor_, piece.data(), std::min(piece.size(), piece_bytes_));
    if (written < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      write_errors_.add();  // disk full, reader gone: these bytes are lost, later ones may not be
      ring.consume(piece.size());
      return false;
    }
    ring.consume(static_cast<size_t>(written));
    piece = piece.subspan(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace sluice::metrics
