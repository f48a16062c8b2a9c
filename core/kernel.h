// The one seam between Sluice and the operating system: the ring, and every system call that the
// data path makes.
//
// Implementations, chosen at link time: kernel_linux.cpp (io_uring; Linux 6.1 and later) and
// tests/simulation/kernel_simulated.cpp (a seeded, hostile world in virtual time). tests/contract/
// runs against both.
//
// Rules for callers:
//  - One thread owns a Kernel and makes every call but wake(), which any thread may make.
//  - Each operation posts exactly one final Completion with its token; a multishot accept posts
//  others before it, with
//    `more` set. Until the final one the memory and the descriptor given to it belong to the
//    kernel: count what is in flight, and close(2) at zero.
//  - An operation counts as in flight from the call on, although it is submitted with the next
//  turn.
//  - Nothing is cancelled for certain by cancel(): wait for the completion all the same.
//  shutdown_both() completes
//    whatever is armed on a connected socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/address.h"
#include "core/clock.h"
#include "core/counter.h"
#include "core/destination.h"
#include "core/error.h"
#include "core/token.h"

namespace sluice::core {

using BufferId = uint16_t;
inline constexpr BufferId no_buffer = UINT16_MAX;

// Which provided-buffer ring a receive draws from.
enum class BufferGroup : uint16_t { downstream = 0, upstream = 1 };
inline constexpr unsigned buffer_groups = 2;

struct Completion {
  Token token;
  Error error = Error::none;
  int32_t result =
      0;  // bytes moved, or the descriptor accepted; 0 of a receive is the other side's FIN
  BufferId buffer = no_buffer;  // of a pooled receive that got bytes
  bool more = false;            // of a multishot accept: it is still armed
  bool unread = false;          // of a receive: the socket has more bytes
};

enum class AcceptMode : uint8_t { multishot, once };

// Whether bytes are expected to be there already (skips one wake-up if not).
enum class Readiness : uint8_t { expected, unexpected };

// Whether more bytes follow at once (MSG_MORE), so that they may share a packet.
enum class Continuation : uint8_t { none, follows };

// Both ends do not block. Plain data: closed by hand.
struct Pipe {
  int read = -1;
  int write = -1;
  uint32_t capacity = 0;  // bytes, in whole pages
  [[nodiscard]] bool is_open() const { return read >= 0; }
};

struct EngineCounters {
  Counter enters;  // io_uring_enter calls
  Counter completions;
  Counter submissions;
  Counter overflows;         // completion queue overflows: the queue is too small
  Counter buffer_shortages;  // receives that found the provided-buffer ring empty
  Counter inline_calls;      // system calls beside the ring
};

struct KernelOptions {
  uint32_t submission_entries;
  uint32_t completion_entries;
};

// Why there is no ring, in one line that says what to do.
struct KernelUnavailable {
  std::string reason;
};

class Kernel {
 public:
  // Opens the ring of the calling thread, which becomes its owner.
  static std::unique_ptr<Kernel> open(const KernelOptions& options, KernelUnavailable& unavailable);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  // --- operations: each ends in one final completion
  // --------------------------------------------------------------- Accepted sockets are
  // non-blocking and close-on-exec; options set on the listener are inherited.
  void accept(Token token, int listener, AcceptMode mode);
  // `destination` must live until the completion.
  void connect(Token token, int socket, const Destination& destination);
  void receive(Token token, int socket, std::span<std::byte> into, Readiness readiness);
  // Takes a buffer of `group` only when bytes are there; Error::no_buffers if there is none then.
  void receive_pooled(Token token, int socket, BufferGroup group, Readiness readiness);
  // May send less than asked.
  void send(Token token, int socket, std::span<const std::byte> bytes, Continuation continuation);
  // Completes when the other side has sent FIN or the connection broke.
  void watch_hangup(Token token, int socket);
  // Completes once, when a receive or a send would not have to wait, or the connection broke.
  void watch_readable(Token token, int socket);
  void watch_writable(Token token, int socket);
  // Asks for an early end of the operation with this token; reports nothing itself.
  void cancel(Token token);

  // --- calls: done when they return
  // ---------------------------------------------------------------------------------- A connection
  // that waits on the listener, as accept() would give it; Error::would_block: none does.
  Result<int> accept_now(int listener);
  Result<size_t> send_now(int socket, std::span<const std::byte> bytes, Continuation continuation);
  // Moves up to `size` bytes between a socket and an end of a pipe without copying them
  // (splice(2)). 0 is the socket's FIN; Error::would_block: the socket is empty or full, or the
  // pipe is.
  Result<size_t> splice_now(int from, int to, size_t size);
  Result<Pipe> open_pipe(uint32_t bytes);  // may get one of another capacity
  void close_pipe(Pipe& pipe);
  // What is there already, at most as much as fits; 0 is the other side's FIN. Not while a receive
  // is in flight.
  Result<size_t> receive_now(int socket, std::span<std::byte> into);
  // Bytes waiting on the socket: 0 means FIN, Error::would_block means open and quiet.
  Result<size_t> peek(int socket);
  Result<int> open_socket(
      int family);  // a stream, non-blocking, close-on-exec; TCP_NODELAY where it is TCP
  Result<SocketAddress> local_address(int socket);  // as peer_address()
  Result<SocketAddress> peer_address(
      int socket);  // of a unix socket: an address of the family AF_UNIX, and nothing more
  void shutdown_write(int socket);
  void shutdown_both(int socket);
  // Breaks the connection with a RST, so that the other side can't take the end for a regular one.
  // Completes whatever is armed, as shutdown_both() does.
  void abort_connection(int socket);
  void close(int descriptor);

  // --- provided buffers ----------------------------------------------------------------------
  // Once a group, before the first pooled receive. `entries` is a power of two, at most 32768.
  Result<uint32_t> open_group(BufferGroup group, uint32_t entries);
  // Visible to the kernel from publish() on.
  void provide(BufferGroup group, BufferId id, std::span<std::byte> memory);
  void publish(BufferGroup group);

  // --- the turn ------------------------------------------------------------------------------
  // Submits what was asked for, waits for a completion, a doorbell or the timeout, and returns what
  // is complete (at most limits::completions_per_turn), valid until the next call. A timeout of
  // zero does not wait. Error::unexpected if the ring itself fails.
  std::span<const Completion> submit_and_wait(Duration timeout);
  // Wakes another worker's kernel with the next submission. Owner thread only.
  void ring_doorbell(Kernel& sleeper);
  // Ends a wait of this kernel, from any thread.
  void wake();

  [[nodiscard]] Instant now() const;
  [[nodiscard]] WallTime wall_now() const;
  [[nodiscard]] const EngineCounters& counters() const;

  // What an implementation keeps; known to the implementation and its tests.
  struct State;
  [[nodiscard]] State& state() { return *state_; }

 private:
  explicit Kernel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::core
