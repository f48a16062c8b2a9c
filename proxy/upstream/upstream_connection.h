// A connection to an endpoint: made by an exchange that needs one, kept in the pool between
// exchanges.
//
// Owned by its worker's slab. While it is idle a receive stays armed on it, so a FIN is seen when
// it comes, and so the next exchange need not arm one. What its exchange should hear is returned.
// Closing has one path, as with DownstreamConnection.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/buffer_pool.h"
#include "core/intrusive_list.h"
#include "core/timer_wheel.h"
#include "proxy/channel.h"
#include "proxy/upstream/core_endpoint.h"

namespace sluice::proxy {

class UpstreamConnection : public core::ListNode<IdleTag>, public core::ListNode<IdleAgeTag> {
 public:
  enum class State : uint8_t {
    connecting,  // for the exchange that asked
    active,      // an exchange talks on it
    idle,        // in the pool, a receive armed
    closing,     // shut down, waiting for what is in flight
  };

  // Begins to connect; the exchange is told of the outcome. `timer` is the token of its timer. An
  // error: no socket is to be had.
  [[nodiscard]] core::Error open(Station& station, core::Token timer, Exchange& exchange,
                                 CoreEndpoint& endpoint);
  [[nodiscard]] CoreEndpoint& endpoint() const { return *endpoint_; }

  // --- for the pool --------------------------------------------------------------------------
  void assign(Station& station, Exchange& exchange);
  void become_idle(Station& station);
  // Idle, and the next request should not meet it.
  [[nodiscard]] bool has_expired(Station& station) const;
  // Whether the other side closed it, or spoke out of turn. Costs a system call.
  [[nodiscard]] bool is_stale(Station& station) {
    channel_.look_for_unread_bytes(station);
    return channel_.has_unread_bytes();
  }

  // --- for the exchange ----------------------------------------------------------------------
  [[nodiscard]] Channel& channel() { return channel_; }
  [[nodiscard]] const Channel& channel() const { return channel_; }
  void begin_close(Station& station);
  // It may be idle for so long; less where the endpoint says so (Keep-Alive: timeout=). 0: it
  // serves once.
  void limit_idle(core::Duration limit) { idle_limit_ = std::min(idle_limit_, limit); }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] Exchange* exchange() const { return exchange_; }
  [[nodiscard]] bool is_reused() const { return served_ > 0; }
  // Whether no byte was written since it was assigned. What is on its way may have been, whatever
  // completes first.
  [[nodiscard]] bool has_sent_nothing() const {
    return channel_.bytes_sent() == sent_before_ && !channel_.has_send_in_flight();
  }

  // --- events, from the worker ---------------------------------------------------------------
  [[nodiscard]] ChannelEvent on_completion(Station& station, Channel::Op op,
                                           const core::Completion& completion);
  [[nodiscard]] ChannelEvent on_turn(Station& station);  // of its channel
  void on_timer(Station& station);
  // The slot may be given back afterwards.
  void finish_close(Station& station);

 private:
  [[nodiscard]] ChannelEvent on_channel(Station& station, ChannelEvent event);
  void leave_pool(Station& station);

  Channel channel_;
  State state_ = State::connecting;
  uint32_t served_ = 0;
  Exchange* exchange_ = nullptr;  // unless idle
  CoreEndpoint* endpoint_ = nullptr;
  uint64_t sent_before_ = 0;  // on the channel, for other exchanges
  core::Duration idle_limit_{};
  core::Instant idle_since_{};
  core::Timer timer_;  // idle
};

[[nodiscard]] std::string_view to_string(UpstreamConnection::State state);

}  // namespace sluice::proxy
