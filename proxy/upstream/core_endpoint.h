// An endpoint at work: what all cores share of it, and what each has of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/upstream_config.h"
#include "core/counter.h"
#include "core/destination.h"
#include "core/intrusive_list.h"
#include "proxy/upstream/circuit_breaker.h"
#include "tls/client_context.h"

namespace sluice::proxy {

class CoreUpstream;
class UpstreamConnection;
struct IdleTag;

// What the health checks say.
enum class Health : uint8_t {
  unchecked,  // or not asked at all: counts as up
  up,
  down,
};

// What all cores know of an endpoint.
struct EndpointHealth {
  // Written by the thread that checks.
  std::atomic<Health> state{Health::unchecked};
  std::atomic<int64_t> up_since_ns{0};  // steady clock; 0: for ever
  // Written by whichever core sees a failure: it is one gateway that judges.
  std::atomic<uint32_t> failures_in_a_row{0};
  std::atomic<uint32_t> ejected_times{0};
  std::atomic<int64_t> ejected_until_ns{0};  // steady clock

  [[nodiscard]] bool is_down() const {
    return state.load(std::memory_order_relaxed) == Health::down;
  }
};

// How a core speaks TLS to an endpoint.
struct EndpointTls {
  std::unique_ptr<tls::ClientContext> context;
  std::string name;           // asked for and verified; an address asks for nothing
  bool is_address = false;    //
  tls::SessionTicket ticket;  // of the last session that gave one; nullptr: none
};

// One core's part of an endpoint: idle connections, and how many are in use. Owned by its Endpoint;
// used by its worker alone, but for the counters.
class CoreEndpoint {
 public:
  CoreEndpoint(const core::Destination& destination, EndpointHealth& health, CoreUpstream& upstream,
               uint16_t label)
      : destination_(destination), health_(health), upstream_(upstream), label_(label) {}

  [[nodiscard]] const core::Destination& destination() const { return destination_; }
  // nullptr: in the clear.
  [[nodiscard]] EndpointTls* tls() { return tls_.get(); }
  void set_tls(std::unique_ptr<EndpointTls> tls) { tls_ = std::move(tls); }
  [[nodiscard]] CoreUpstream& upstream() { return upstream_; }
  [[nodiscard]] uint16_t label() const { return label_; }
  [[nodiscard]] const EndpointHealth& health() const { return health_; }
  [[nodiscard]] bool is_ejected(core::Instant now) const {
    return now.time_since_epoch().count() <
           health_.ejected_until_ns.load(std::memory_order_relaxed);
  }
  // Requests that it has now, and connections that are being made.
  [[nodiscard]] uint32_t in_use() const {
    return open_.load(std::memory_order_relaxed) - static_cast<uint32_t>(idle_count_.get());
  }

  // --- judging -------------------------------------------------------------------------------
  // Whether this failure is one too many.
  [[nodiscard]] bool note(Outcome outcome, const config::Ejection& rules, core::Instant now);
  void eject(const config::Ejection& rules, core::Instant now);

  // --- connections: kept by UpstreamConnection ------------------------------------------------
  // Most recently used first.
  [[nodiscard]] core::IntrusiveList<UpstreamConnection, IdleTag>& idle() { return idle_; }
  [[nodiscard]] core::Counter& idle_count() { return idle_count_; }
  void note_opened() {
    open_.store(open_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void note_closed() {
    open_.store(open_.load(std::memory_order_relaxed) - 1, std::memory_order_release);
  }
  // It closed a connection that had been idle for `age`: others are given up sooner for some time.
  void learn_idle_limit(core::Duration age, core::Instant now);
  void note_reuse() { closed_at_once_ = 0; }
  // How long a connection may be idle, where the configuration says `configured`. 0: not at all.
  [[nodiscard]] core::Duration idle_limit(core::Duration configured, core::Instant now) const;

  // --- what others read, from any thread -----------------------------------------------------
  [[nodiscard]] uint32_t open() const { return open_.load(std::memory_order_acquire); }
  core::Counter requests, failures, ejections;

 private:
  const core::Destination& destination_;
  EndpointHealth& health_;
  CoreUpstream& upstream_;
  uint16_t label_;
  std::unique_ptr<EndpointTls> tls_;
  core::IntrusiveList<UpstreamConnection, IdleTag> idle_;
  std::atomic<uint32_t> open_{0};  // one writer
  core::Counter idle_count_;
  core::Duration learnt_idle_limit_ = core::Duration::max();
  core::Instant learnt_until_{};
  uint32_t closed_at_once_ = 0;  // connections in a row, after an answer that did not say so
};

}  // namespace sluice::proxy
