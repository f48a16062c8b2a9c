// Question 8: what an accepted connection costs, its client's address included, by a multishot
// accept, by one accept each, and by epoll; until it is closed. 64 connections an iteration; the
// time is the CPU of who accepts.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>

#include "bench/engine/loopback.h"

namespace {

using namespace sluice::bench;

enum class Way : uint8_t { multishot, once, readiness };

class Acceptor {
 public:
  Acceptor(Way way, int listener) : way_(way), listener_(listener) {}

  // Until the listener is shut down.
  void run() {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    if (io_uring_queue_init_params(256, &ring_, &parameters) != 0) give_up("no ring");
    arm();
    while (is_running_) {
      io_uring_submit_and_wait(&ring_, 1);
      io_uring_cqe* cqe = nullptr;
      while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
        const int result = cqe->res;
        const bool more = (cqe->flags & IORING_CQE_F_MORE) != 0;
        io_uring_cqe_seen(&ring_, cqe);
        on_completion(result);
        if (!more && is_running_) arm();
      }
    }
    io_uring_queue_exit(&ring_);
  }
  std::atomic<uint64_t> accepted{0};

 private:
  void arm() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (way_ == Way::multishot)
      io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr,
                                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (way_ == Way::once)
      io_uring_prep_accept(sqe, listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (way_ == Way::readiness) io_uring_prep_poll_add(sqe, listener_, POLLIN);
  }

  void on_completion(int result) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (way_ != Way::readiness) {
      if (result < 0) {
        is_running_ = false;
        return;
      }
      ::getpeername(result, reinterpret_cast<sockaddr*>(&address), &size);
      finish(result);
      return;
    }
    for (;;) {
      const int socket = ::accept4(listener_, reinterpret_cast<sockaddr*>(&address), &size,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) {
        is_running_ = errno == EAGAIN;
        return;
      }
      finish(socket);
    }
  }
  void finish(int socket) {
    ::close(socket);
    accepted.fetch_add(1, std::memory_order_release);
    accepted.notify_one();
  }

  Way way_;
  int listener_;
  io_uring ring_{};
  bool is_running_ = true;
};

void accept_connections(benchmark::State& state, Way way) {
  uint16_t port = 0;
  const int listener = listen_on_loopback(port);
  ::fcntl(listener, F_SETFL, O_NONBLOCK);
  Acceptor acceptor{way, listener};
  Measured thread{[&] { acceptor.run(); }};
  std::array<int, 64> sockets{};
  uint64_t wanted = 0;
  double total = 0;
  for (auto _ : state) {
    const double before = thread.cpu_seconds();
    for (int& socket : sockets) socket = connect_to_loopback(port);
    wanted += sockets.size();
    for (uint64_t seen = acceptor.accepted; seen < wanted; seen = acceptor.accepted)
      acceptor.accepted.wait(seen);
    const double taken = thread.cpu_seconds() - before;
    total += taken;
    state.SetIterationTime(taken);
    // A reset leaves no connection behind that would keep its port.
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    for (const int socket : sockets) {
      ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      ::close(socket);
    }
  }
  ::shutdown(listener, SHUT_RDWR);
  state.counters["us/connection"] = total * 1e6 / static_cast<double>(wanted);
  ::close(listener);
}
BENCHMARK_CAPTURE(accept_connections, multishot, Way::multishot)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(accept_connections, once, Way::once)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(accept_connections, readiness, Way::readiness)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
