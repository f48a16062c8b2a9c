// A configuration at work, and how one follows another while requests are served.
//
//   Registry    what outlives configurations: the numbers of names and limits, upstreams and endpoints. One a process.
//   Generation  one configuration with what belongs to it alone: its keys, and a Share for each core.
//   Share       what one core has of a generation. Its worker adopts it by a message; the one before is retired, and let go of
//               when no exchange uses it any more. Exchanges use the share they began with until their answer begins.
//
// Made, published and freed by the control thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/authenticator.h"
#include "core/intrusive_list.h"
#include "core/mailbox.h"
#include "config/config.h"
#include "proxy/endpoint.h"
#include "proxy/labels.h"
#include "config/route_table.h"
#include "proxy/upstream.h"

namespace sluice::proxy {

class Exchange;
class KeyKeeper;
class Share;
struct KeyWaitTag;

inline constexpr size_t generations_max = 8;  // alive at once; a reload beyond that is refused

// To a worker: from now on this one.
struct AdoptMessage : core::Message {
  struct Listener {
    int descriptor = -1;  // the worker closes it
    config::ListenerConfig config;
  };
  Share* share = nullptr;
  std::vector<Listener> listeners;  // all that it shall have
};

class Registry {
 public:
  explicit Registry(uint32_t workers) : workers_(workers) {}
  [[nodiscard]] uint32_t workers() const { return workers_; }
  [[nodiscard]] Labels& labels() { return labels_; }

  // Those that have this identity; made if there are none.
  [[nodiscard]] std::shared_ptr<UpstreamRecord> upstream(const std::string& name);
  [[nodiscard]] std::shared_ptr<EndpointRecord> endpoint(const std::shared_ptr<UpstreamRecord>& of, const config::EndpointConfig& config);
  // Frees what no generation names any more and no core has a connection to.
  void sweep();

  // Any thread but the cores': all of them as they are now.
  template <typename Visit>
  void for_each_upstream(Visit&& visit) const {
    const std::lock_guard lock{mutex_};
    for (const auto& [name, record] : upstreams_) visit(*record);
  }
  template <typename Visit>
  void for_each_endpoint(Visit&& visit) const {
    const std::lock_guard lock{mutex_};
    for (const auto& [name, record] : endpoints_) visit(*record);
  }

 private:
  mutable std::mutex mutex_;  // between the control thread and those that render metrics; no core takes it
  uint32_t workers_;
  Labels labels_;
  std::map<std::string, std::shared_ptr<UpstreamRecord>> upstreams_;  // by name
  std::map<std::string, std::shared_ptr<EndpointRecord>> endpoints_;  // by upstream, authority and address
};

class Share {
 public:
  Share(const config::Config& config, const config::RouteTable& routes, const auth::KeySnapshot& keys, KeyKeeper* keeper, auth::AuthCounters& counters,
        uint64_t seed);

  [[nodiscard]] const config::Config& config() const { return config_; }
  [[nodiscard]] const config::RouteTable& routes() const { return routes_; }
  [[nodiscard]] auth::Authenticator& authenticator() { return authenticator_; }
  [[nodiscard]] UpstreamPlan& upstream(uint16_t index) { return upstreams_[index]; }
  [[nodiscard]] std::vector<UpstreamPlan>& upstreams() { return upstreams_; }
  // Those with a bound on their connections.
  [[nodiscard]] const std::vector<UpstreamPlan*>& capped_upstreams() const { return capped_; }
  void complete();
  [[nodiscard]] AdoptMessage& message() { return message_; }

  // --- its worker's -------------------------------------------------------------------------------------------------------
  void use() { ++users_; }
  void let_go();
  void retire();

  // --- keys: signatures that other threads check refer to the snapshot of their time, which is given up when they are back ------
  [[nodiscard]] const auth::KeySnapshot& keys() const { return *keys_; }
  void adopt_keys(const auth::KeySnapshot& snapshot, uint64_t sequence);
  void note_signature_out() { ++signatures_out_; }
  void note_signature_back(uint64_t generation);
  // False if nobody brings any.
  [[nodiscard]] bool wait_for_keys(Exchange& exchange);
  static void stop_waiting_for_keys(Exchange& exchange);
  [[nodiscard]] core::IntrusiveList<Exchange, KeyWaitTag>& key_waiters() { return key_waiters_; }

  // --- what the control thread reads ----------------------------------------------------------------------------------------
  // Retired, and nothing refers to it.
  [[nodiscard]] bool is_released() const { return released_.load(std::memory_order_acquire); }
  // The last message of the keeper that the worker is through with.
  [[nodiscard]] uint64_t keys_acknowledged() const { return keys_acknowledged_.load(std::memory_order_acquire); }

 private:
  void acknowledge_keys();
  void release_if_unused();

  const config::Config& config_;
  const config::RouteTable& routes_;
  auth::Authenticator authenticator_;
  std::vector<UpstreamPlan> upstreams_;
  std::vector<UpstreamPlan*> capped_;
  AdoptMessage message_;
  bool is_retired_ = false;
  uint32_t users_ = 0;  // exchanges
  std::atomic<bool> released_{false};

  KeyKeeper* keeper_;  // nullptr in tests: there are never others
  core::IntrusiveList<Exchange, KeyWaitTag> key_waiters_;
  const auth::KeySnapshot* keys_;
  uint64_t keys_sequence_ = 0;  // of the last message
  uint32_t signatures_out_ = 0;
  uint32_t old_signatures_out_ = 0;  // of the snapshot before
  std::atomic<uint64_t> keys_acknowledged_{0};
};

// Where a generation's keys come from.
struct GenerationKeys {
  const auth::KeySnapshot& first;
  KeyKeeper* keeper = nullptr;
};

class Generation {
 public:
  // `config` is complete. `counters` are one a worker.
  Generation(Registry& registry, config::Config config, uint64_t seed);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // After the keys are there: what the workers get. `counters` are one a worker and outlive the generation.
  void make_shares(const GenerationKeys& keys, std::span<auth::AuthCounters* const> counters);

  [[nodiscard]] const config::Config& config() const { return config_; }
  [[nodiscard]] config::Config& config() { return config_; }
  [[nodiscard]] Share& share(uint32_t worker) { return *shares_[worker]; }
  [[nodiscard]] const std::vector<std::shared_ptr<EndpointRecord>>& endpoints(size_t upstream) const { return endpoints_[upstream]; }
  // What the limits' numbers would be, if there is no room for them all.
  [[nodiscard]] const std::optional<std::string>& complaint() const { return complaint_; }
  [[nodiscard]] bool is_released() const;
  [[nodiscard]] bool has_acknowledged_keys(uint64_t sequence) const;

 private:
  config::Config config_;
  config::RouteTable routes_;
  uint64_t seed_;
  std::optional<std::string> complaint_;
  std::vector<std::shared_ptr<UpstreamRecord>> upstreams_;               // by their place in the configuration
  std::vector<std::vector<std::shared_ptr<EndpointRecord>>> endpoints_;  // of each, by place
  std::vector<std::unique_ptr<Share>> shares_;
};

}  // namespace sluice::proxy
