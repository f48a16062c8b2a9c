// A client's connection: socket, who is at the other end, and what the kernel holds of it. What is
// said on it is the Exchange's business; one runs at a time.
//
// Owned by its worker's slab, run by that worker's thread. Closing has one path: begin_close()
// shuts the socket down; when nothing is in flight any more the connection is settled, and the
// worker calls finish_close() at the end of that batch.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "config/config.h"
#include "core/address.h"
#include "core/buffer_pool.h"
#include "core/intrusive_list.h"
#include "core/kernel.h"
#include "core/timer_wheel.h"
#include "http/head_scanner.h"
#include "proxy/connection.h"
#include "proxy/operation.h"
#include "proxy/proxy_header.h"
#include "proxy/reason.h"
#include "proxy/share_table.h"

namespace sluice::proxy {

class Exchange;

struct IdleTag;
struct ReadyTag;
struct StarvedTag;
struct SettledTag;

class DownstreamConnection : public Connection,
                             public core::ListNode<IdleTag>,
                             public core::ListNode<ReadyTag>,
                             public core::ListNode<StarvedTag>,
                             public core::ListNode<SettledTag> {
 public:
  enum class State : uint8_t {
    awaiting_proxy_header,  // before everything: a PROXY protocol header says whose it is
    idle,                   // between requests: a receive is armed, no buffer is held
    gathering,              // a head comes in, and is not whole: it holds a buffer, and no more
    ready,                  // bytes of the next request are here, and wait for their turn
    exchanging,             // an Exchange runs
    lingering,  // all is said; what the client still sends is thrown away until it closes
    closing,    // shut down, waiting for what is in flight
  };

  // How the client sees the end. An answer whose end is the end of the connection, and which is not
  // whole, ends in a reset.
  enum class Ending : uint8_t { fin, reset };

  // What the end of an exchange means for the connection.
  enum class Afterwards : uint8_t { keep_alive, linger, close };

  // `share` is what its address has of the worker's room; nullptr if that is not counted.
  void open(Worker& worker, int socket, config::ProxyProtocol announces,
            const core::SocketAddress& address, Share* share);

  // --- for the exchange ----------------------------------------------------------------------
  void receive(Worker& worker, std::span<std::byte> into, core::Duration timeout);
  void receive(Worker& worker, std::span<std::byte> into);  // however long it takes
  [[nodiscard]] SendProgress send(Worker& worker, Outbox& outbox);
  void wait_readable(Worker& worker);
  void wait_readable(Worker& worker, core::Duration timeout);
  void wait_writable(Worker& worker);
  void watch(Worker& worker);
  // The exchange is over and gone; `buffer` holds `size` bytes of what follows, or nothing.
  void next(Worker& worker, core::Buffer buffer, uint32_t size);
  // As well; a receive into `buffer` may still be armed, which is asked to end.
  void begin_linger(Worker& worker, core::Buffer buffer);
  // Others need the buffer of its half head more.
  void shed_head(Worker& worker);
  void begin_close(Worker& worker, Ending ending = Ending::fin);

  [[nodiscard]] core::Instant idle_since() const { return since_; }
  [[nodiscard]] Share* share() const { return share_; }
  [[nodiscard]] const core::SocketAddress& address() const { return address_; }
  [[nodiscard]] uint32_t requests() const { return requests_; }
  [[nodiscard]] uint64_t bytes_sent() const { return bytes_sent_; }
  [[nodiscard]] bool is_receiving() const { return in_flight_.has(Op::receive); }
  [[nodiscard]] bool is_sending() const {
    return in_flight_.has(Op::send) || in_flight_.has(Op::writable);
  }
  [[nodiscard]] State state() const { return state_; }

  // --- events, from the worker ---------------------------------------------------------------
  void on_completion(Worker& worker, Operation operation, const core::Completion& completion);
  void on_timer(Worker& worker);
  void on_ready(Worker& worker);  // its turn has come
  void on_buffer_available(Worker& worker);
  void on_drain(Worker& worker);
  void on_cut(Worker& worker);  // the drain's deadline has come
  void finish_close(
      Worker& worker);  // the one place where the descriptor is closed and the slot given back

 private:
  void on_proxy_header_bytes(Worker& worker, core::Buffer buffer, uint32_t size);
  void refuse_proxy_header(Worker& worker);
  void become_idle(Worker& worker);
  void leave_idle(Worker& worker);
  void arm_receive(Worker& worker, core::Readiness readiness);
  void begin_head(Worker& worker);
  void read_head(Worker& worker);
  void gather(Worker& worker);
  void refuse_head(Worker& worker, Failure why);
  [[nodiscard]] Exchange& take_exchange(Worker& worker);
  void on_linger_bytes(Worker& worker, core::Buffer buffer, const core::Completion& completion);
  void on_receive(Worker& worker, const core::Completion& completion);
  void on_send(Worker& worker, const core::Completion& completion);
  void on_watch(Worker& worker);
  void on_readable(Worker& worker);
  void on_writable(Worker& worker);
  void settle(Worker& worker);

  State state_ = State::idle;
  uint32_t requests_ = 0;
  uint32_t waiting_size_ = 0;     // bytes in waiting_
  Exchange* exchange_ = nullptr;  // exchanging, and closing until the exchange has let go
  Share* share_ = nullptr;        // of the address; nullptr: it is not counted
  // gathering, ready; awaiting_proxy_header, once bytes came; lingering, until the receive into it
  // has ended.
  core::Buffer waiting_;
  http::HeadScanner scanner_;  // gathering
  core::Timer timer_;
  core::Instant since_{};  // idle, lingering: when that began; gathering, ready: the first byte
  core::SocketAddress address_;
};

[[nodiscard]] std::string_view to_string(DownstreamConnection::State state);

// What an idle client costs us in memory of our own.
static_assert(sizeof(DownstreamConnection) <= 256);

}  // namespace sluice::proxy
