// A connection to an endpoint: made by an exchange that needs one, kept in the pool between
// exchanges.
//
// Owned by its worker's slab. While it is idle a receive stays armed on it, so a FIN is seen when
// it comes, and so the next exchange need not arm one. Closing has one path, as with
// DownstreamConnection.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/buffer_pool.h"
#include "core/intrusive_list.h"
#include "core/kernel.h"
#include "core/timer_wheel.h"
#include "proxy/connection.h"
#include "proxy/downstream_connection.h"
#include "proxy/operation.h"

namespace sluice::proxy {

class CoreEndpoint;
struct IdleAgeTag;

class UpstreamConnection : public Connection,
                           public core::ListNode<IdleTag>,
                           public core::ListNode<IdleAgeTag>,
                           public core::ListNode<StarvedTag>,
                           public core::ListNode<SettledTag> {
 public:
  enum class State : uint8_t {
    connecting,  // for the exchange that asked
    active,      // an exchange talks on it
    idle,        // in the pool, a receive armed
    closing,     // shut down, waiting for what is in flight
  };

  // Begins to connect; the exchange is told of the outcome. An error: no socket is to be had.
  [[nodiscard]] core::Error open(Worker& worker, Exchange& exchange, CoreEndpoint& endpoint);
  [[nodiscard]] CoreEndpoint& endpoint() const { return *endpoint_; }

  // --- for the pool --------------------------------------------------------------------------
  void assign(Worker& worker, Exchange& exchange);
  void become_idle(Worker& worker);
  // Idle, and the next request should not meet it.
  [[nodiscard]] bool has_expired(Worker& worker) const;
  // Whether the other side closed it, or spoke out of turn. Costs a system call.
  [[nodiscard]] bool is_stale(Worker& worker);

  // --- for the exchange ----------------------------------------------------------------------
  void receive(Worker& worker, std::span<std::byte> into);
  void wait_readable(Worker& worker);
  void wait_writable(Worker& worker);
  // After bytes went past us: whether there are more, which would answer nothing. Costs a system
  // call.
  void look_for_unread_bytes(Worker& worker) { unread_ = is_stale(worker); }
  [[nodiscard]] SendProgress send(Worker& worker, Outbox& outbox);
  void begin_close(Worker& worker);
  // It may be idle for so long; less where the endpoint says so (Keep-Alive: timeout=). 0: it
  // serves once.
  void limit_idle(core::Duration limit) { idle_limit_ = std::min(idle_limit_, limit); }

  [[nodiscard]] State state() const { return state_; }
  // Whether more has come than was received so far: after a whole response, bytes that answer
  // nothing.
  [[nodiscard]] bool has_unread_bytes() const { return unread_; }
  [[nodiscard]] bool is_reused() const { return served_ > 0; }
  // Whether no byte was written since it was assigned. What is on its way may have been, whatever
  // completes first.
  [[nodiscard]] bool has_sent_nothing() const {
    return bytes_sent_ == 0 && !in_flight_.has(Op::send);
  }

  // --- events, from the worker ---------------------------------------------------------------
  void on_completion(Worker& worker, Operation operation, const core::Completion& completion);
  void on_timer(Worker& worker);
  void on_buffer_available(Worker& worker);
  void finish_close(Worker& worker);

 private:
  void arm_receive(Worker& worker, core::Readiness readiness);
  void on_connect(Worker& worker, const core::Completion& completion);
  void on_receive(Worker& worker, const core::Completion& completion);
  void on_send(Worker& worker, const core::Completion& completion);
  void on_readable(Worker& worker);
  void on_writable(Worker& worker);
  void settle(Worker& worker);

  State state_ = State::connecting;
  bool unread_ = false;  // bytes were left in the socket by the last receive
  uint32_t served_ = 0;
  Exchange* exchange_ = nullptr;  // unless idle
  CoreEndpoint* endpoint_ = nullptr;
  core::Duration idle_limit_{};
  core::Instant idle_since_{};
  core::Timer timer_;  // idle
};

[[nodiscard]] std::string_view to_string(UpstreamConnection::State state);

}  // namespace sluice::proxy
