// Set-up flags and the reason for each stand in open_ring(); no version is compared, what the
// kernel lacks shows when the ring is set up.
#include "core/ring_linux.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <vector>

namespace sluice::core {

namespace {

// Newer than liburing 2.9's headers: since Linux 6.15 an idle loop need not count as waiting for
// I/O.
constexpr unsigned enter_no_iowait = 1U << 7;
constexpr unsigned feature_no_iowait = 1U << 17;

}  // namespace

Kernel::State::~State() {
  if (!ring_is_open) return;
  for (unsigned group = 0; group < buffer_groups; ++group) {
    if (groups[group] != nullptr)
      io_uring_free_buf_ring(&ring, groups[group], group_entries[group], static_cast<int>(group));
  }
  io_uring_queue_exit(&ring);
  if (wake_descriptor >= 0) ::close(wake_descriptor);
}

int Kernel::State::open_ring(const KernelOptions& options) {
  io_uring_params parameters{};
  parameters.flags =
      IORING_SETUP_SINGLE_ISSUER  // one thread submits: no lock in the kernel
      |
      IORING_SETUP_DEFER_TASKRUN  // completions run when we enter, in batches, not as interruptions
      | IORING_SETUP_SUBMIT_ALL   // one bad entry does not hold back the rest of a batch
      | IORING_SETUP_CQSIZE       // room for multishot accepts: never overflow
      | IORING_SETUP_CLAMP        //
      | IORING_SETUP_R_DISABLED;  // until it is restricted
  parameters.cq_entries = options.completion_entries;
  if (const int failure =
          io_uring_queue_init_params(options.submission_entries, &ring, &parameters);
      failure < 0)
    return -failure;
  ring_is_open = true;
  failed_call = "io_uring_register";
  io_uring_ring_dontfork(&ring);
  if (io_uring_register_ring_fd(&ring) == 1)
    enter_flags |= IORING_ENTER_REGISTERED_RING;  // saves a descriptor look-up an enter
  if ((parameters.features & feature_no_iowait) != 0) enter_flags |= enter_no_iowait;
  unsigned workers[2] = {
      1, 1};  // nothing here needs a kernel worker thread; a mistake shall not make a crowd
  io_uring_register_iowq_max_workers(&ring, workers);
  if (const int failure = restrict_and_enable(); failure != 0) return failure;
  failed_call = "eventfd";
  wake_descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_descriptor < 0) return errno;
  arm_wake();
  // Now rather than at the first turn: a filter of system calls may know the others only.
  failed_call = "io_uring_enter";
  const int entered = enter(0, Duration{0});
  return entered < 0 ? -entered : 0;
}

// A ring does, to the end of its life, only what the seam asks for: whoever gets hold of its memory
// can open no file with it.
int Kernel::State::restrict_and_enable() {
  constexpr io_uring_op operations[] = {
      IORING_OP_ACCEPT,   IORING_OP_CONNECT,      IORING_OP_RECV,    IORING_OP_SEND,
      IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_MSG_RING};
  constexpr unsigned registrations[] = {IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING,
                                        IORING_UNREGISTER_RING_FDS};
  std::vector<io_uring_restriction> allowed;
  for (const io_uring_op operation : operations) {
    allowed.push_back(
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = static_cast<uint8_t>(operation)});
  }
  for (const unsigned registration : registrations) {
    allowed.push_back({.opcode = IORING_RESTRICTION_REGISTER_OP,
                       .register_op = static_cast<uint8_t>(registration)});
  }
  allowed.push_back({.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
                     .sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS});
  if (const int failure = io_uring_register_restrictions(&ring, allowed.data(),
                                                         static_cast<unsigned>(allowed.size()));
      failure < 0) {
    return -failure;
  }
  return -io_uring_enable_rings(&ring);
}

void Kernel::State::arm_wake() {
  io_uring_sqe* sqe = entry(token_wake);
  io_uring_prep_poll_multishot(sqe, wake_descriptor, POLLIN);
}

io_uring_sqe* Kernel::State::entry(uint64_t user_data) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  while (sqe == nullptr) {  // the queue is full in mid-turn: hand it over and go on
    enter(0, Duration{0});
    sqe = io_uring_get_sqe(&ring);
  }
  // The preparation that follows leaves user_data alone.
  sqe->user_data = user_data;
  counters.submissions.add();
  return sqe;
}

// Publishes prepared entries to the kernel; returns how many wait to be consumed.
unsigned Kernel::State::flush_submissions() {
  io_uring_sq& queue = ring.sq;
  if (queue.sqe_head != queue.sqe_tail) {
    queue.sqe_head = queue.sqe_tail;
    std::atomic_ref{*queue.ktail}.store(queue.sqe_tail, std::memory_order_release);
  }
  return queue.sqe_tail - std::atomic_ref{*queue.khead}.load(std::memory_order_acquire);
}

// One system call that submits, runs deferred work, and waits. liburing 2.9's own wrapper can't
// pass NO_IOWAIT.
int Kernel::State::enter(unsigned wait_for, Duration timeout) {
  __kernel_timespec limit{};
  io_uring_getevents_arg argument{};
  if (wait_for > 0 && timeout != forever) {
    limit.tv_sec = timeout.count() / 1'000'000'000;
    limit.tv_nsec = timeout.count() % 1'000'000'000;
    argument.ts = reinterpret_cast<uint64_t>(&limit);
  }
  counters.enters.add();
  return io_uring_enter2(static_cast<unsigned>(ring.enter_ring_fd), flush_submissions(), wait_for,
                         enter_flags, reinterpret_cast<sigset_t*>(&argument), sizeof argument);
}

std::span<const Completion> Kernel::State::reap() {
  size_t count = 0;
  unsigned head = 0;
  unsigned seen = 0;
  bool rearm_wake = false;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring, head, cqe) {
    if (count == batch.size()) break;
    ++seen;
    if (cqe->user_data == token_ignored) continue;
    if (cqe->user_data == token_wake) {
      rearm_wake |= (cqe->flags & IORING_CQE_F_MORE) == 0 && cqe->res != 0;
      continue;
    }
    Completion& completion = batch[count++];
    completion.token = Token::unpack(cqe->user_data);
    completion.error = cqe->res < 0 ? error_from_errno(-cqe->res) : Error::none;
    completion.result = cqe->res < 0 ? 0 : cqe->res;
    completion.buffer = (cqe->flags & IORING_CQE_F_BUFFER) != 0
                            ? static_cast<BufferId>(cqe->flags >> IORING_CQE_BUFFER_SHIFT)
                            : no_buffer;
    completion.more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    completion.unread = (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
    if (completion.error == Error::no_buffers) counters.buffer_shortages.add();
  }
  io_uring_cq_advance(&ring, seen);
  if (rearm_wake) arm_wake();
  counters.completions.add(count);
  const unsigned overflows = std::atomic_ref{*ring.cq.koverflow}.load(std::memory_order_relaxed);
  if (overflows != overflows_seen) {
    counters.overflows.add(overflows - overflows_seen);
    overflows_seen = overflows;
  }
  return {batch.data(), count};
}

}  // namespace sluice::core
