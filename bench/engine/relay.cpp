// Question 4: from how many bytes a wake-up on splice(2) beats receiving and sending, with which
// pipe and which buffer, and what the ring's own splice costs. A message of so many bytes comes
// from one side and goes out at the other, 4 MiB in each iteration; the time is the relay's CPU.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "bench/engine/loopback.h"

namespace {

using namespace sluice::bench;

constexpr size_t bytes_each_time = 4 << 20;

enum class Way : uint8_t { copy, splice, ring_splice };

class Relay {
 public:
  Relay(Way way, size_t buffer_bytes, int from, int to)
      : way_(way), buffer_bytes_(buffer_bytes), from_(from), to_(to) {}
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay() {
    for (const int end : pipe_) {
      if (end >= 0) ::close(end);
    }
  }

  void run() {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    if (io_uring_queue_init_params(8, &ring_, &parameters) != 0) give_up("no ring");
    if (way_ == Way::copy) {
      buffer_ = std::make_unique<char[]>(buffer_bytes_);
      while (copy()) continue;
    } else {
      if (::pipe2(pipe_, O_NONBLOCK | O_CLOEXEC) != 0) give_up("no pipe");
      ::fcntl(pipe_[1], F_SETPIPE_SZ, static_cast<int>(buffer_bytes_));
      while (way_ == Way::splice ? splice() : ring_splice()) continue;
    }
    io_uring_queue_exit(&ring_);
  }

 private:
  int complete() {
    io_uring_cqe* cqe = nullptr;
    io_uring_submit_and_wait(&ring_, 1);
    io_uring_wait_cqe(&ring_, &cqe);
    const int result = cqe->res;
    io_uring_cqe_seen(&ring_, cqe);
    return result;
  }
  void wait(int socket, unsigned events) {
    io_uring_prep_poll_add(io_uring_get_sqe(&ring_), socket, events);
    complete();
  }

  bool copy() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_recv(sqe, from_, buffer_.get(), buffer_bytes_, 0);
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    const int got = complete();
    for (size_t sent = 0; got > 0 && sent < static_cast<size_t>(got);) {
      const ssize_t size = ::send(to_, buffer_.get() + sent, static_cast<size_t>(got) - sent,
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size > 0) {
        sent += static_cast<size_t>(size);
      } else {
        wait(to_, POLLOUT);
      }
    }
    return got > 0;
  }

  bool splice() {
    wait(from_, POLLIN);
    for (;;) {
      ssize_t in_pipe = ::splice(from_, nullptr, pipe_[1], nullptr, buffer_bytes_,
                                 SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (in_pipe == 0) return false;
      if (in_pipe < 0) return true;
      while (in_pipe > 0) {
        const ssize_t size = ::splice(pipe_[0], nullptr, to_, nullptr, static_cast<size_t>(in_pipe),
                                      SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (size > 0) {
          in_pipe -= size;
        } else {
          wait(to_, POLLOUT);
        }
      }
    }
  }

  bool ring_splice() {
    wait(from_, POLLIN);
    const auto move = [&](int in, int out, size_t size) {
      io_uring_prep_splice(io_uring_get_sqe(&ring_), in, -1, out, -1, static_cast<unsigned>(size),
                           SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      return complete();
    };
    int in_pipe = move(from_, pipe_[1], buffer_bytes_);
    if (in_pipe == 0) return false;
    while (in_pipe > 0) {
      const int size = move(pipe_[0], to_, static_cast<size_t>(in_pipe));
      if (size > 0) {
        in_pipe -= size;
      } else {
        wait(to_, POLLOUT);
      }
    }
    return true;
  }

  Way way_;
  size_t buffer_bytes_;
  int from_;
  int to_;
  int pipe_[2] = {-1, -1};
  std::unique_ptr<char[]> buffer_;
  io_uring ring_{};
};

void relay(benchmark::State& state, Way way, size_t buffer_bytes) {
  const auto message_bytes = static_cast<size_t>(state.range(0));
  const std::string message(message_bytes, 'x');
  const auto received = std::make_unique<char[]>(message_bytes);
  Pairs pairs{2};
  Relay one{way, buffer_bytes, pairs.far[0], pairs.far[1]};
  Measured thread{[&] { one.run(); }};
  // Who sends and who receives are threads of their own: a message of 1 MiB does not fit into the
  // sockets between them.
  std::atomic<double> senders = 0;
  // The relay's, and that of what kernel threads do for it: all but ours.
  const auto cpu = [&] {
    return cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - senders;
  };
  double total = 0;
  for (auto _ : state) {
    const double before = cpu();
    for (size_t moved = 0; moved < bytes_each_time; moved += message_bytes) {
      std::thread sender;
      if (message_bytes > 64 * 1024) {
        sender = std::thread{[&] {
          write_all(pairs.near[0], message.data(), message_bytes);
          senders = senders + cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
        }};
      } else {
        write_all(pairs.near[0], message.data(), message_bytes);
      }
      if (!read_all(pairs.near[1], received.get(), message_bytes)) state.SkipWithError("closed");
      if (sender.joinable()) sender.join();
    }
    const double taken = cpu() - before;
    total += taken;
    state.SetIterationTime(taken);
  }
  ::shutdown(pairs.near[0], SHUT_WR);
  state.counters["ms/GiB"] =
      total * 1e3 / (static_cast<double>(state.iterations()) * bytes_each_time / (1 << 30));
  state.counters["kernel_workers"] = kernel_workers();
}

void ask(const std::string& name, Way way, size_t buffer_bytes) {
  auto* one = benchmark::RegisterBenchmark(
      (name + "/" + std::to_string(buffer_bytes / 1024) + "K").c_str(),
      [=](benchmark::State& state) { relay(state, way, buffer_bytes); });
  one->ArgName("bytes")->UseManualTime()->Unit(benchmark::kMicrosecond);
  for (const int64_t bytes : {4 << 10, 16 << 10, 64 << 10, 1 << 20}) one->Arg(bytes);
}

const bool registered = [] {
  for (const size_t kib : {16, 64, 256}) ask("relay/copy", Way::copy, kib * 1024);
  for (const size_t kib : {64, 256, 1024}) ask("relay/splice", Way::splice, kib * 1024);
  ask("relay/ring_splice", Way::ring_splice, 256 * 1024);
  return true;
}();

}  // namespace
