// The kernel seam over io_uring: each operation as an entry of the ring, each call as a system
// call.
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "core/ring_linux.h"
#include "core/socket_buffers.h"

namespace sluice::core {

namespace {

constexpr int exit_no_ring = 4;  // the gateway's exit_no_io_uring
constexpr unsigned hangup_events = POLLRDHUP | POLLHUP | POLLERR;

std::string explain_setup_failure(int number, const std::string& call) {
  const std::string text = "io_uring is not available: " + call + ": ";
  switch (number) {
    case ENOSYS:
      return text + "this kernel (or a container's seccomp profile) has no " + call +
             "; Linux 6.1 or later is needed";
    case EPERM:
    case EACCES:
      return text +
             "not permitted; set sysctl kernel.io_uring_disabled=0, or allow io_uring_setup, "
             "io_uring_enter and io_uring_register in the container's seccomp profile";
    case ENOMEM:
      return text +
             "out of memory; raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) or the memory limit "
             "of the control group";
    case EINVAL:
      return text +
             "this kernel lacks a needed flag (IORING_SETUP_DEFER_TASKRUN, or restrictions); Linux "
             "6.1 or later is needed";
    default: return text + std::strerror(number);
  }
}

// Of a ring that worked: something was taken from this process while it ran. There is nothing left
// to serve with.
[[noreturn]] void end_without_ring(int number) {
  std::fprintf(stderr, "sluice: %s\n", explain_setup_failure(number, "io_uring_enter").c_str());
  std::_Exit(exit_no_ring);
}

}  // namespace

std::unique_ptr<Kernel> Kernel::open(const KernelOptions& options, KernelUnavailable& unavailable) {
  auto state = std::make_unique<State>();
  if (const int failure = state->open_ring(options); failure != 0) {
    unavailable.reason = explain_setup_failure(failure, state->failed_call);
    return nullptr;
  }
  return std::unique_ptr<Kernel>{new Kernel{std::move(state)}};
}

Kernel::Kernel(std::unique_ptr<State> state) : state_(std::move(state)) {}
Kernel::~Kernel() = default;

void Kernel::accept(Token token, int listener, AcceptMode mode) {
  io_uring_sqe* sqe = state_->entry(token.pack());
  if (mode == AcceptMode::multishot) {
    io_uring_prep_multishot_accept(sqe, listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } else {
    io_uring_prep_accept(sqe, listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  }
}

void Kernel::connect(Token token, int socket, const Destination& destination) {
  io_uring_prep_connect(state_->entry(token.pack()), socket, destination.data(),
                        destination.size());
}

void Kernel::receive(Token token, int socket, std::span<std::byte> into, Readiness readiness) {
  io_uring_sqe* sqe = state_->entry(token.pack());
  io_uring_prep_recv(sqe, socket, into.data(), into.size(), 0);
  if (readiness == Readiness::unexpected) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

void Kernel::receive_pooled(Token token, int socket, BufferGroup group, Readiness readiness) {
  io_uring_sqe* sqe = state_->entry(token.pack());
  io_uring_prep_recv(sqe, socket, nullptr, 0, 0);  // length 0: as much as the buffer holds
  io_uring_sqe_set_flags(sqe, IOSQE_BUFFER_SELECT);
  sqe->buf_group = static_cast<uint16_t>(group);
  // Without POLL_FIRST an empty ring would end the receive at once, bytes or no bytes.
  if (readiness == Readiness::unexpected) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

void Kernel::send(Token token, int socket, std::span<const std::byte> bytes,
                  Continuation continuation) {
  io_uring_prep_send(state_->entry(token.pack()), socket, bytes.data(), bytes.size(),
                     MSG_NOSIGNAL | (continuation == Continuation::follows ? MSG_MORE : 0));
}

void Kernel::watch_hangup(Token token, int socket) {
  io_uring_prep_poll_add(state_->entry(token.pack()), socket, hangup_events);
}

void Kernel::watch_readable(Token token, int socket) {
  io_uring_prep_poll_add(state_->entry(token.pack()), socket, POLLIN | POLLRDHUP);
}

void Kernel::watch_writable(Token token, int socket) {
  io_uring_prep_poll_add(state_->entry(token.pack()), socket, POLLOUT);
}

void Kernel::cancel(Token token) {
  io_uring_sqe* sqe = state_->entry(token_ignored);
  io_uring_prep_cancel64(sqe, token.pack(), 0);
  sqe->user_data = token_ignored;
}

Result<int> Kernel::accept_now(int listener) {
  state_->counters.inline_calls.add();
  const int socket = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (socket < 0) return error_from_errno(errno);
  return socket;
}

Result<size_t> Kernel::send_now(int socket, std::span<const std::byte> bytes,
                                Continuation continuation) {
  state_->counters.inline_calls.add();
  const int flags =
      MSG_NOSIGNAL | MSG_DONTWAIT | (continuation == Continuation::follows ? MSG_MORE : 0);
  const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), flags);
  if (sent < 0) return error_from_errno(errno);
  return static_cast<size_t>(sent);
}

Result<size_t> Kernel::splice_now(int from, int to, size_t size) {
  state_->counters.inline_calls.add();
  const ssize_t moved =
      ::splice(from, nullptr, to, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (moved < 0) return error_from_errno(errno);
  return static_cast<size_t>(moved);
}

Result<Pipe> Kernel::open_pipe(uint32_t bytes) {
  state_->counters.inline_calls.add(2);
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return error_from_errno(errno);
  Pipe pipe{.read = ends[0], .write = ends[1]};
  int capacity = ::fcntl(pipe.write, F_SETPIPE_SZ, bytes);
  if (capacity < 0) capacity = ::fcntl(pipe.write, F_GETPIPE_SZ);
  pipe.capacity = static_cast<uint32_t>(std::max(0, capacity));
  return pipe;
}

void Kernel::close_pipe(Pipe& pipe) {
  state_->counters.inline_calls.add(2);
  ::close(pipe.read);
  ::close(pipe.write);
  pipe = {};
}

Result<size_t> Kernel::receive_now(int socket, std::span<std::byte> into) {
  state_->counters.inline_calls.add();
  const ssize_t got = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
  if (got < 0) return error_from_errno(errno);
  return static_cast<size_t>(got);
}

Result<size_t> Kernel::peek(int socket) {
  state_->counters.inline_calls.add();
  char byte = 0;
  const ssize_t there = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (there < 0) return error_from_errno(errno);
  return static_cast<size_t>(there);
}

Result<int> Kernel::open_socket(int family) {
  state_->counters.inline_calls.add(family == AF_UNIX ? 3 : 5);
  const int socket = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return error_from_errno(errno);
  const int on = 1;
  if (family != AF_UNIX && ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
    const Error error = error_from_errno(errno);
    ::close(socket);
    return error;
  }
  bound_socket_buffers(socket, family, limits::socket_buffer_bytes);
  return socket;
}

Result<SocketAddress> Kernel::peer_address(int socket) {
  state_->counters.inline_calls.add();
  SocketAddress address;
  socklen_t size = SocketAddress::capacity;
  if (::getpeername(socket, address.data(), &size) != 0) return error_from_errno(errno);
  return address.family() == AF_UNIX ? SocketAddress::of_unix_peer() : address;
}

Result<SocketAddress> Kernel::local_address(int socket) {
  state_->counters.inline_calls.add();
  SocketAddress address;
  socklen_t size = SocketAddress::capacity;
  if (::getsockname(socket, address.data(), &size) != 0) return error_from_errno(errno);
  return address.family() == AF_UNIX ? SocketAddress::of_unix_peer() : address;
}

void Kernel::shutdown_write(int socket) {
  state_->counters.inline_calls.add();
  ::shutdown(socket, SHUT_WR);  // fails only where the connection is gone already
}

void Kernel::shutdown_both(int socket) {
  state_->counters.inline_calls.add();
  ::shutdown(socket, SHUT_RDWR);  // as above
}

void Kernel::abort_connection(int socket) {
  state_->counters.inline_calls.add();
  sockaddr nobody{};
  nobody.sa_family =
      AF_UNSPEC;  // dissolves the association (connect(2)); an established TCP connection is reset
  if (::connect(socket, &nobody, sizeof nobody) != 0) ::shutdown(socket, SHUT_RDWR);
}

void Kernel::close(int descriptor) {
  state_->counters.inline_calls.add();
  ::close(descriptor);
}

Result<uint32_t> Kernel::open_group(BufferGroup group, uint32_t entries) {
  const auto index = static_cast<unsigned>(group);
  int failure = 0;
  io_uring_buf_ring* buffers =
      io_uring_setup_buf_ring(&state_->ring, entries, static_cast<int>(index), 0, &failure);
  if (buffers == nullptr) return error_from_errno(-failure);
  state_->groups[index] = buffers;
  state_->group_entries[index] = entries;
  return entries;
}

void Kernel::provide(BufferGroup group, BufferId id, std::span<std::byte> memory) {
  const auto index = static_cast<unsigned>(group);
  io_uring_buf_ring_add(state_->groups[index], memory.data(), static_cast<unsigned>(memory.size()),
                        id, io_uring_buf_ring_mask(state_->group_entries[index]),
                        state_->unpublished[index]++);
}

void Kernel::publish(BufferGroup group) {
  const auto index = static_cast<unsigned>(group);
  if (state_->unpublished[index] == 0) return;
  io_uring_buf_ring_advance(state_->groups[index], state_->unpublished[index]);
  state_->unpublished[index] = 0;
}

std::span<const Completion> Kernel::submit_and_wait(Duration timeout) {
  const bool wait = timeout > Duration{0} && io_uring_cq_ready(&state_->ring) == 0;
  const int result = state_->enter(wait ? 1 : 0, timeout);
  // -ETIME: the timeout. -EINTR: a signal. -EBUSY, -EAGAIN: the kernel wants completions reaped
  // first; what was not submitted stays in the queue for the next turn. Anything else means that
  // the ring is broken.
  if (result < 0 && result != -ETIME && result != -EINTR && result != -EBUSY && result != -EAGAIN &&
      result != -ENOMEM)
    end_without_ring(-result);
  return state_->reap();
}

void Kernel::ring_doorbell(Kernel& sleeper) {
  io_uring_sqe* sqe = state_->entry(token_ignored);
  io_uring_prep_msg_ring(sqe, sleeper.state_->ring.ring_fd, 0, token_ignored, 0);
  sqe->user_data = token_ignored;
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void Kernel::wake() {
  const uint64_t one = 1;
  // Can fail only when the counter is full, and then the sleeper has more than one reason to be
  // awake.
  [[maybe_unused]] const auto written = ::write(state_->wake_descriptor, &one, sizeof one);
}

Instant Kernel::now() const {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
}

WallTime Kernel::wall_now() const {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return WallTime{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
}

const EngineCounters& Kernel::counters() const { return state_->counters; }

}  // namespace sluice::core
