// What one core has of a configuration at work. Its worker adopts it by a message; the one before
// is retired, and freed by the control thread when no exchange uses it any more. Exchanges use the
// one they began with until their answer begins.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "auth/authenticator.h"
#include "config/config.h"
#include "config/identity_fields.h"
#include "config/route_table.h"
#include "core/intrusive_list.h"
#include "core/mailbox.h"
#include "proxy/key_wish.h"
#include "proxy/upstream/core_endpoint.h"
#include "proxy/upstream/core_upstream.h"
#include "tls/server_context.h"

namespace sluice::proxy {

class Exchange;
class CoreGeneration;
struct KeyWaitTag;

// An exchange that waits for keys; embedded in it.
struct KeyWaiter : core::ListNode<KeyWaitTag> {
  Exchange* exchange = nullptr;
};

// To a worker: from now on this one.
struct AdoptMessage : core::Message {
  struct Listener {
    int descriptor = -1;  // the worker closes it
    config::ListenerConfig config;
  };
  CoreGeneration* generation = nullptr;
  std::vector<Listener> listeners;  // all that it shall have
};

class CoreGeneration {
 public:
  CoreGeneration(const config::Config& config, const config::RouteTable& routes,
                 const auth::KeySnapshot& keys, KeyWish* wish, auth::AuthCounters& counters,
                 uint64_t seed);

  [[nodiscard]] const config::Config& config() const { return config_; }
  [[nodiscard]] const config::RouteTable& routes() const { return routes_; }
  [[nodiscard]] const config::IdentityFields& identity_fields() const { return identity_fields_; }
  [[nodiscard]] auth::Authenticator& authenticator() { return authenticator_; }
  [[nodiscard]] UpstreamPlan& upstream(uint16_t index) { return upstreams_[index]; }
  [[nodiscard]] std::vector<UpstreamPlan>& upstreams() { return upstreams_; }
  // Those with a bound on their connections.
  [[nodiscard]] const std::vector<UpstreamPlan*>& capped_upstreams() const { return capped_; }
  // Of a listener that speaks TLS; nullptr: it does not.
  [[nodiscard]] tls::ServerContext* server_context(uint32_t listener_id) const {
    for (size_t index = 0; index < servers_.size(); ++index) {
      if (config_.listeners[index].id == listener_id) return servers_[index].get();
    }
    return nullptr;
  }
  // Of config().listeners, or empty: none speaks TLS.
  void set_servers(std::vector<std::unique_ptr<tls::ServerContext>> servers) {
    servers_ = std::move(servers);
  }
  void complete();
  [[nodiscard]] AdoptMessage& message() { return message_; }

  // --- its worker's --------------------------------------------------------------------------
  void use() { ++users_; }
  void release();
  void retire();

  // --- keys: signatures that other threads check refer to the snapshot of their time, which is
  // given up when they are back ------
  [[nodiscard]] const auth::KeySnapshot& keys() const { return *keys_; }
  void adopt_keys(const auth::KeySnapshot& snapshot, uint64_t sequence);
  void note_signature_out() { ++signatures_out_; }
  void note_signature_back(uint64_t generation);
  // False if nobody brings any.
  [[nodiscard]] bool wait_for_keys(KeyWaiter& waiter);
  static void stop_waiting_for_keys(KeyWaiter& waiter);
  [[nodiscard]] core::IntrusiveList<KeyWaiter, KeyWaitTag>& key_waiters() { return key_waiters_; }

  // --- what the control thread reads ---------------------------------------------------------
  // Retired, and nothing refers to it.
  [[nodiscard]] bool is_released() const { return released_.load(std::memory_order_acquire); }
  // The last message of the keeper that the worker is through with.
  [[nodiscard]] uint64_t keys_acknowledged() const {
    return keys_acknowledged_.load(std::memory_order_acquire);
  }

 private:
  void acknowledge_keys();
  void release_if_unused();

  const config::Config& config_;
  const config::RouteTable& routes_;
  const config::IdentityFields identity_fields_;
  auth::Authenticator authenticator_;
  std::vector<UpstreamPlan> upstreams_;
  std::vector<UpstreamPlan*> capped_;
  std::vector<std::unique_ptr<tls::ServerContext>> servers_;
  AdoptMessage message_;
  bool is_retired_ = false;
  uint32_t users_ = 0;  // exchanges
  std::atomic<bool> released_{false};

  KeyWish* wish_;  // nullptr in tests: there are never others
  core::IntrusiveList<KeyWaiter, KeyWaitTag> key_waiters_;
  const auth::KeySnapshot* keys_;
  uint64_t keys_sequence_ = 0;  // of the last message
  uint32_t signatures_out_ = 0;
  uint32_t old_signatures_out_ = 0;  // of the snapshot before
  std::atomic<uint64_t> keys_acknowledged_{0};
};

}  // namespace sluice::proxy
