// A server that says again what it hears, in every way in which this engine could have been built:
// the questions are which way of setting up a ring, of receiving and of sending costs least. One
// thread, made for measuring; no model for a server.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace sluice::bench {

enum class Setup : uint8_t {
  epoll,          // level-triggered
  plain,          // a ring without flags
  cooperative,    // COOP_TASKRUN
  deferred,       // SINGLE_ISSUER | DEFER_TASKRUN, as core/ does
  deferred_bare,  // the same without the registered descriptor of the ring
};
enum class Receive : uint8_t {
  single,      // tried at once, then waited for
  poll_first,  // waited for at once
  pooled,      // into a buffer that is taken only when bytes are there, as core/ does
  multishot,   // pooled, and armed for good
};

struct EchoOptions {
  Setup setup = Setup::deferred;
  Receive receive = Receive::pooled;
  // Batches of at most so many completions are answered by send(2) at once, others with the next
  // submission.
  unsigned inline_up_to = 0;
};

class EchoServer {
 public:
  // `sockets` are non-blocking and outlive it.
  EchoServer(const EchoOptions& options, std::span<const int> sockets);
  ~EchoServer();
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

  // Until the other side of every socket has closed. Opens its ring here: this thread is the
  // ring's.
  void run();
  [[nodiscard]] uint64_t enters() const { return enters_; }

 private:
  static constexpr size_t message_bytes_max = 1024;
  static constexpr unsigned pool_entries = 4096;
  struct Connection {
    int socket = -1;
    int buffer = -1;  // pooled: that of the message in hand
    uint32_t size = 0;
    char bytes[message_bytes_max];
  };
  enum class Kind : uint8_t { receive, send };

  void run_epoll();
  void open_ring();
  void open_pool();
  void give_back(int buffer);
  [[nodiscard]] bool is_pooled() const {
    return options_.receive == Receive::pooled || options_.receive == Receive::multishot;
  }
  [[nodiscard]] io_uring_sqe* entry(Kind kind, size_t index);
  void arm_receive(size_t index);
  void on_receive(size_t index, const io_uring_cqe& cqe, unsigned batch);
  void answer(size_t index, unsigned batch);
  void on_sent(size_t index);

  EchoOptions options_;
  std::vector<Connection> connections_;
  size_t open_;
  io_uring ring_{};
  bool ring_is_open_ = false;
  io_uring_buf_ring* pool_ = nullptr;
  std::unique_ptr<char[]> pool_memory_;
  uint64_t enters_ = 0;
};

}  // namespace sluice::bench
