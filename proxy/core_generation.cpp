// What a core has of one configuration, and who still uses it.
#include "proxy/core_generation.h"

#include <algorithm>
#include <utility>

namespace sluice::proxy {

CoreGeneration::CoreGeneration(const config::Config& config, const config::RouteTable& routes,
                               const auth::KeySnapshot& keys, KeyWish* wish,
                               auth::AuthCounters& counters, uint64_t seed)
    : config_(config),
      routes_(routes),
      identity_fields_(config.auth),
      authenticator_({.verifier = {.providers = config.providers,
                                   .claims = config.claims,
                                   .requirements = config.requirements},
                      .cache_entries = config.bounds.token_cache_entries,
                      .seed = seed,
                      .counters = &counters}),
      wish_(wish),
      keys_(&keys) {
  authenticator_.adopt(keys);
  message_.generation = this;
}

void CoreGeneration::release() {
  SLUICE_DEBUG_ASSERT(users_ > 0);
  --users_;
  release_if_unused();
}

void CoreGeneration::retire() {
  is_retired_ = true;
  release_if_unused();
}

// Nothing of it is touched by its worker afterwards.
void CoreGeneration::release_if_unused() {
  if (is_retired_ && users_ == 0 && signatures_out_ == 0 && old_signatures_out_ == 0)
    released_.store(true, std::memory_order_release);
}

// The keeper sends the next message only when this one is acknowledged: at most two snapshots are
// in use.
void CoreGeneration::adopt_keys(const auth::KeySnapshot& snapshot, uint64_t sequence) {
  SLUICE_ASSERT(old_signatures_out_ == 0);
  keys_sequence_ = sequence;
  if (&snapshot != keys_) {
    keys_ = &snapshot;
    old_signatures_out_ = std::exchange(signatures_out_, 0);
    authenticator_.adopt(snapshot);
  }
  acknowledge_keys();
}

void CoreGeneration::acknowledge_keys() {
  if (old_signatures_out_ == 0) keys_acknowledged_.store(keys_sequence_, std::memory_order_release);
}

void CoreGeneration::note_signature_back(uint64_t generation) {
  if (generation == keys_->generation) {
    --signatures_out_;
  } else {
    --old_signatures_out_;
    acknowledge_keys();
  }
  release_if_unused();
}

void CoreGeneration::complete() {
  const config::Bounds& bounds = config_.bounds;
  const auto part = [](uint64_t whole, uint64_t percent) {
    return static_cast<uint32_t>(std::max<uint64_t>(1, whole * percent / 100));
  };
  for (UpstreamPlan& plan : upstreams_) {
    plan.complete();
    const uint32_t share = plan.config().share_percent;
    const uint32_t connections = part(bounds.upstream_connections, share);
    plan.set_room({.requests = part(bounds.exchanges, share),
                   .connections = connections,
                   .tunnels = part(connections, 50)});
    if (plan.config().connections != 0) capped_.push_back(&plan);
  }
}

void CoreGeneration::stop_waiting_for_keys(KeyWaiter& waiter) {
  core::IntrusiveList<KeyWaiter, KeyWaitTag>::remove(waiter);
}

bool CoreGeneration::wait_for_keys(KeyWaiter& waiter) {
  if (wish_ == nullptr) return false;
  if (key_waiters_.empty()) wish_->express();
  key_waiters_.push_back(waiter);
  return true;
}

}  // namespace sluice::proxy
