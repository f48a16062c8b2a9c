// A request's tries at the endpoints of an upstream: which upstream, a place of it, a connection,
// how the last try went and whether another one may follow.
//
// Part of an exchange.
#pragma once

#include <cstdint>

#include "proxy/exchange/request_context.h"
#include "proxy/http1_request.h"
#include "proxy/upstream/core_upstream.h"
#include "proxy/upstream/upstream_connection.h"

namespace sluice::proxy {

class Attempt {
 public:
  using Acquired = CoreUpstream::Acquired;
  // How a try failed, as the client would be told.
  struct Failed {
    uint16_t status = 0;
    Reason reason;
  };
  // Whether what went wrong allows another try.
  enum class Again : uint8_t { never, if_allowed };
  // How far a try was when it failed. Meeting a pooled connection that had just been closed is
  // nobody's failure, and not for the budget to pay.
  enum class Reached : uint8_t { nobody, stale, unwritten, endpoint };

  void bind(Exchange& exchange, Share* share) {
    wish_.exchange = &exchange;
    wish_.share = share;
  }

  // --- which upstream ------------------------------------------------------------------------
  // By weight: by chance, or by a key, so that the same caller meets the same upstream.
  void choose(Station& station, const RequestContext& context);
  [[nodiscard]] bool has_plan() const { return plan_ != nullptr; }
  [[nodiscard]] UpstreamPlan& plan() const { return *plan_; }
  [[nodiscard]] CoreUpstream& upstream() const { return plan_->upstream(); }
  [[nodiscard]] const config::UpstreamConfig& config() const { return plan_->config(); }
  [[nodiscard]] const config::UpstreamTimeouts& patience() const { return config().timeouts; }
  // The configuration is let go of: no try follows.
  void forget_plan() { plan_ = nullptr; }

  // --- a place, until the answer is out ------------------------------------------------------
  [[nodiscard]] bool take_place(const RequestContext& context);
  [[nodiscard]] CoreUpstream* place() const { return place_; }
  void give_place_back();

  // --- a connection --------------------------------------------------------------------------
  // As CoreUpstream::acquire(); it is the exchange's from then on.
  [[nodiscard]] Acquired acquire(Station& station, const Http1Request& call,
                                 const RequestContext& context, UpstreamConnection*& connection);
  // After Acquired::no_room.
  [[nodiscard]] Acquired wait(Station& station) {
    return upstream().enqueue(station, config(), wish_);
  }
  void stop_waiting() { upstream().withdraw(wish_); }
  void note_assigned(RequestContext& context, UpstreamConnection& connection);
  // How long it may wait for one; 0: as long as the request may.
  [[nodiscard]] core::Duration queue_wait() const;

  // --- how it went ---------------------------------------------------------------------------
  void judge(Station& station, UpstreamConnection& connection, Outcome outcome);
  // Whether another try follows, which then is counted.
  [[nodiscard]] bool note_failed(Station& station, Record& record, const Failed& failed,
                                 Reached reached);
  [[nodiscard]] const Failed& failed() const { return failed_; }

 private:
  UpstreamPlan* plan_ = nullptr;   // until the answer has begun
  CoreUpstream* place_ = nullptr;  // until the answer is out
  ConnectionRequest wish_;
  Failed failed_;         // the last try that did
  uint8_t refusals_ = 0;  // tries at endpoints that got no byte
  uint8_t tries_ = 0;     // that failed and were followed by another
};

// Whether it does no harm to send it again: idempotent, and all of it is still here.
[[nodiscard]] bool may_be_replayed(const RequestContext& context, const Http1Request& call);

}  // namespace sluice::proxy
