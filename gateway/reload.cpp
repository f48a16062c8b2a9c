// How a gateway's configuration changes while it runs, and what the control thread looks after
// meanwhile.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/fresh_secret.h"
#include "gateway/parts.h"

namespace sluice::gateway {

namespace {

// What is made once, at start: a change of it needs a new process. In words; empty if nothing is.
std::string changed_for_good(const config::Config& old, const config::Config& now) {
  std::string all;
  const auto note = [&](bool changed, const char* what) {
    if (changed) all += (all.empty() ? "" : ", ") + std::string{what};
  };
  note(old.cores != now.cores, "workers.cores");
  note(old.bounds != now.bounds, "workers.pipes or limiter.keys or limiter.held_max");
  note(old.limits_on_full != now.limits_on_full, "limiter.on_full");
  note(old.network_bits != now.network_bits, "limiter.ipv4_prefix or ipv6_prefix");
  note(old.log_path != now.log_path, "log");
  note(old.user != now.user, "user");
  note(old.sandbox != now.sandbox, "sandbox");
  note(old.control_path != now.control_path, "control");
  return all;
}

}  // namespace

// --- listeners -------------------------------------------------------------------------------

std::optional<std::string> Gateway::open_listeners(const config::Config& config,
                                                   std::vector<ListenerSet>& sets) {
  std::vector<ListenerSet> opened;
  for (const config::ListenerConfig& listener : config.listeners) {
    const auto is_there = [&](const ListenerSet& set) { return set.wanted == listener.address; };
    const auto kept = std::find_if(parts_->listeners.begin(), parts_->listeners.end(), is_there);
    const ListenerRules rules = rules_of(listener, config);
    std::optional<std::string> failure;
    if (kept != parts_->listeners.end()) {
      failure = change_access(*kept, rules);
      if (!failure && kept->rules.ipv4 != rules.ipv4)
        failure =
            "the listener on " + kept->wanted.text() +
            " is there already, and whether it takes IPv4 can't change; take the place of this "
            "process (--take-over), or start it anew";
      if (!failure) {
        sets.push_back(*kept);
        continue;
      }
    }
    ListenerSet set;
    if (!failure)
      failure = open_listener_set(listener.address, rules, config.cores.size(), inherited_, set);
    if (failure) {
      for (const ListenerSet& one : opened) close_listener_set(one);
      return failure;
    }
    opened.push_back(set);
    sets.push_back(std::move(set));
  }
  return std::nullopt;
}

std::vector<int> Gateway::listeners() const {
  std::vector<int> all;
  for (const ListenerSet& set : parts_->listeners) {
    if (set.kind == ListenerSet::Kind::group)
      all.insert(all.end(), set.descriptors.begin(), set.descriptors.end());
    if (set.kind == ListenerSet::Kind::shared) all.push_back(set.descriptors.front());
  }
  return all;
}

// Which worker listens where. A group that was handed over may have more sockets than there are
// workers: none is left out, or who waits in it would be lost.
void Gateway::fill_messages(Generation& generation) {
  const config::Config& config = generation.config();
  const size_t workers = config.cores.size();
  for (uint32_t worker = 0; worker < workers; ++worker) {
    proxy::AdoptMessage& message = generation.core(worker).message();
    message.kind = static_cast<uint16_t>(proxy::MessageKind::adopt);
    for (size_t index = 0; index < config.listeners.size(); ++index) {
      const std::vector<int>& descriptors = parts_->listeners[index].descriptors;
      for (size_t at = worker; at < descriptors.size(); at += workers)
        message.listeners.push_back({descriptors[at], config.listeners[index]});
    }
  }
}

// --- steering --------------------------------------------------------------------------------

bool Gateway::steer(const ListenerSet& set, bool by_address) {
  if (set.kind == ListenerSet::Kind::shared) return true;
  const auto workers = static_cast<uint32_t>(config().cores.size());
  const int failure =
      by_address ? attach_steering(set.descriptors.front(),
                                   limiter::steering_program(workers, parts_->ownership.owners,
                                                             config().network_bits))
                 : detach_steering(set.descriptors.front());
  if (failure != 0) {
    notices_.push_back(
        std::string{"warning: the kernel refuses to steer connections by address ("} +
        std::strerror(failure) +
        "); it spreads them as it likes. Limits stay exact, and cost a message more");
  }
  return failure == 0;
}

bool Gateway::set_steering(limiter::Steering steering) {
  if (config().cores.size() == 1) return true;
  const bool by_address = steering != limiter::Steering::spread;
  bool all = true;
  for (const ListenerSet& set : parts_->listeners) all = all && steer(set, by_address);
  parts_->steering.by_address.set(by_address && all ? 1 : 0);
  return all;
}

void Gateway::look_after_steering() {
  Parts& parts = *parts_;
  std::vector<uint64_t> done;
  for (size_t index = 0; index < parts.workers.size(); ++index) {
    const uint64_t requests = parts.workers[index]->counters().requests_total.get();
    done.push_back(requests - parts.requests_seen[index]);
    parts.requests_seen[index] = requests;
  }
  const double uneven = limiter::imbalance(done);
  parts.steering.imbalance.set(static_cast<uint64_t>(uneven * 1e9));
  if (config().steering != limiter::Steering::automatic || parts.draining ||
      parts.steering.by_address.get() == 0)
    return;
  if (!parts.judge.observe(done) || !set_steering(limiter::Steering::spread)) return;
  notices_.push_back("steering: one core carries " + std::to_string(uneven).substr(0, 4) +
                     " times its share of requests, because few addresses call; the kernel spreads "
                     "new connections from now on");
}

// --- reload ----------------------------------------------------------------------------------

void Gateway::note_failed_reload() {
  parts_->config_state.failures.add();
  parts_->config_state.is_stale.set(1);
}

void Gateway::note_loaded() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  parts_->config_state.loaded_at_s.set(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count()));
  parts_->config_state.is_stale.set(0);
  parts_->config_state.generations.set(parts_->generations.size());
}

std::optional<std::string> Gateway::why_no_room() {
  if (parts_->draining) return "the gateway is stopping";
  sweep_generations();
  if (parts_->generations.size() < generations_max) return std::nullopt;
  return std::to_string(generations_max) +
         " configurations are still used by requests that began with them; try again later";
}

std::variant<NextGeneration, std::string> Gateway::prepare(config::Config next,
                                                           const config::Config& running,
                                                           const Interrupted& is_interrupted) {
  Parts& parts = *parts_;
  next.bounds.connections = std::min(next.bounds.connections, running.bounds.connections);
  next.bounds.upstream_connections =
      std::min(next.bounds.upstream_connections, running.bounds.upstream_connections);
  next.bounds.pipes = std::min(next.bounds.pipes, running.bounds.pipes);
  if (const std::string what = changed_for_good(running, next); !what.empty())
    return what + " can't change while the gateway runs; start it anew, or leave that as it was";
  const auto live = std::make_shared<LiveGeneration>();
  live->generation =
      std::make_unique<Generation>(parts.registry, std::move(next), core::fresh_secret<uint64_t>());
  Generation& generation = *live->generation;
  if (generation.complaint()) return *generation.complaint();
  const std::string stopping = "the gateway is stopping";
  parts.health.meet(generation);
  if (!parts.health.settle(generation, is_interrupted)) return stopping;
  // The last to be waited for: what keys come meanwhile are among them.
  live->keys = parts.keeper.admit(generation.config());
  if (!parts.keeper.settle(*live->keys, is_interrupted)) return stopping;
  std::string all;
  for (const std::string& complaint : live->keys->complaints())
    all += (all.empty() ? "" : "; ") + complaint;
  if (!all.empty()) return all;
  generation.make_cores({live->keys->snapshot(), &parts.keeper.wish()}, parts.counters());
  live->messages.resize(running.cores.size());
  return live;
}

std::optional<std::string> Gateway::adopt(NextGeneration next) {
  Parts& parts = *parts_;
  Generation& generation = *next->generation;
  if (parts.draining) return "the gateway is stopping";
  std::vector<ListenerSet> sets;
  if (auto failure = open_listeners(generation.config(), sets)) {
    parts.health.watch(parts.newest());
    return failure;
  }
  for (const ListenerSet& old : parts.listeners) {
    const bool stays = std::any_of(
        sets.begin(), sets.end(), [&](const ListenerSet& set) { return set.wanted == old.wanted; });
    if (!stays) remove_name(old);
  }
  parts.listeners = std::move(sets);
  fill_messages(generation);
  generation.take_effect();
  parts.health.watch(generation);
  parts.generations.push_back(std::move(next));
  publish(generation);
  return std::nullopt;
}

void Gateway::publish(Generation& generation) {
  Parts& parts = *parts_;
  const uint32_t control = proxy::Senders{parts.workers.size()}.control();
  for (uint32_t index = 0; index < parts.workers.size(); ++index) {
    parts.postboxes[index]->post_within_bound(control, generation.core(index).message());
    if (parts.postboxes[index]->claim_doorbell()) parts.kernels[index]->wake();
  }
  serve_keys();
  const bool steers = generation.config().steering != limiter::Steering::spread;
  set_steering(steers ? limiter::Steering::address : limiter::Steering::spread);
  parts.config_state.reloads.add();
  note_loaded();
}

// Those that every core has let go of, once the keeper of keys has too.
void Gateway::sweep_generations() {
  Parts& parts = *parts_;
  for (auto at = parts.generations.begin(); at != parts.generations.end();) {
    LiveGeneration& live = **at;
    const bool is_newest = std::next(at) == parts.generations.end();
    if (is_newest || !live.generation->is_released()) {
      ++at;
      continue;
    }
    if (live.keys->state() == KeyView::State::serving) live.keys->retire();
    const bool is_let_go = live.keys->state() == KeyView::State::gone &&
                           live.generation->has_acknowledged_keys(live.keys->sequence());
    at = is_let_go ? parts.generations.erase(at) : std::next(at);
  }
  parts.registry.sweep();
  parts.config_state.generations.set(parts.generations.size());
}

void Gateway::look_after() {
  look_after_steering();
  sweep_generations();
}

std::vector<uint64_t> Gateway::progress() {
  std::vector<uint64_t> turns;
  for (size_t index = 0; index < parts_->workers.size(); ++index) {
    turns.push_back(parts_->workers[index]->engine_counters().enters.get());
    parts_->kernels[index]->wake();  // who sleeps does a turn before the next look
  }
  return turns;
}

}  // namespace sluice::gateway
