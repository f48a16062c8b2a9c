#include "gateway/gateway.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "core/affinity.h"
#include "core/fresh_secret.h"
#include "gateway/parts.h"
#include "gateway/sandbox_plan.h"

namespace sluice::gateway {

Gateway::Gateway(config::Config config)
    : config_(std::move(config)),
      parts_(std::make_unique<Parts>(static_cast<uint32_t>(config_.cores.size()))) {}

Gateway::~Gateway() {
  if (parts_ != nullptr && !parts_->threads.empty()) stop();
}

const config::Config& Gateway::config() const {
  return parts_->generations.empty() ? config_ : parts_->newest().config();
}

uint64_t Gateway::remote_checks() const {
  uint64_t sum = 0;
  for (const auto& worker : parts_->workers) sum += worker->counters().limit_remote.get();
  return sum;
}

std::vector<std::string> Gateway::take_notices() {
  std::vector<std::string> all = std::exchange(notices_, {});
  for (const LiveGeneration& live : parts_->generations) {
    for (std::string& notice : live.keeper->take_notices()) all.push_back(std::move(notice));
  }
  for (std::string& notice : parts_->health.take_notices()) all.push_back(std::move(notice));
  if (parts_->log_writer != nullptr) {
    for (std::string& notice : parts_->log_writer->take_notices(std::chrono::steady_clock::now()))
      all.push_back(std::move(notice));
  }
  for (const auto& worker : parts_->workers) {
    if (const auto name = worker->dropped_field().take())
      all.push_back("a field with a '_' in its name was dropped, for example " + *name +
                    "; underscores: pass in the route lets such fields through");
  }
  return all;
}

// Two descriptors a proxied request, and some for ourselves. Too few of them lowers the bound; it
// never fails later.
std::optional<StartFailure> Gateway::fit_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  constexpr uint64_t own = 64;
  const uint64_t workers = config_.cores.size();
  const uint64_t wanted =
      workers * (uint64_t{config_.bounds.connections} + config_.bounds.upstream_connections +
                 2 * uint64_t{config_.bounds.pipes} + 8) +
      own;
  if (wanted <= limit.rlim_cur) return std::nullopt;
  const uint64_t for_each = limit.rlim_cur > own ? (limit.rlim_cur - own) / workers : 0;
  if (for_each < 64) {
    return StartFailure{
        exit_usage, "only " + std::to_string(limit.rlim_cur) +
                        " open files are allowed; raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE=)"};
  }
  config_.bounds.pipes = std::min(config_.bounds.pipes, static_cast<uint32_t>(for_each / 16));
  config_.bounds.upstream_connections =
      std::min(config_.bounds.upstream_connections, static_cast<uint32_t>(for_each / 4));
  config_.bounds.connections = static_cast<uint32_t>(for_each) -
                               config_.bounds.upstream_connections - 2 * config_.bounds.pipes - 8;
  return std::nullopt;
}

uint64_t Gateway::memory_bound_bytes() const {
  const config::Bounds& bounds = config().bounds;
  const uint64_t each = core::BufferPool::size_bytes(bounds.request_buffers()) +
                        core::BufferPool::size_bytes(bounds.exchanges) +
                        uint64_t{bounds.connections} * sizeof(proxy::DownstreamConnection) +
                        proxy::ShareTable::size_bytes(bounds.connections) +
                        uint64_t{bounds.request_buffers()} * sizeof(proxy::Exchange) +
                        uint64_t{bounds.upstream_connections} * sizeof(proxy::UpstreamConnection) +
                        auth::TokenCache::size_bytes(bounds.token_cache_entries +
                                                     auth::AuthenticatorOptions{}.refused_entries) +
                        limiter::Shard::size_bytes(proxy::failing_addresses_max) +
                        bounds.log_ring_bytes + uint64_t{bounds.pipes} * core::limits::pipe_bytes;
  return each * config().cores.size() + limiter::Shard::size_bytes(bounds.limiter_keys * 11 / 10);
}

std::optional<StartFailure> Gateway::open_log() {
  Parts& parts = *parts_;
  std::vector<metrics::LogRing*> rings;
  if (config_.log_path != metrics::log_to_nobody) {
    for (size_t index = 0; index < config_.cores.size(); ++index) {
      parts.log_rings.push_back(std::make_unique<metrics::LogRing>(config_.bounds.log_ring_bytes));
      rings.push_back(parts.log_rings.back().get());
    }
  }
  try {
    parts.log_writer = std::make_unique<metrics::LogWriter>(config_.log_path, rings);
  } catch (const std::exception& failure) {
    return StartFailure{
        exit_usage,
        failure.what() + (config_.user ? " (as user " + config_.user->name + ")" : std::string{})};
  }
  return std::nullopt;
}

// Everything is open that needs more than serving does, and no thread is running yet that would
// keep what it had.
std::optional<StartFailure> Gateway::give_up_privileges() {
  const SandboxPlan plan = sandbox_plan(config_);
  if (config_.user) {
    if (const auto why = become(*config_.user)) return StartFailure{exit_usage, "user: " + *why};
  } else if (is_root() && config_.sandbox == config::Sandbox::on) {
    notices_.emplace_back(
        "warning: this runs as root; say user: NAME, and it becomes that user once it listens");
    if (const auto why = drop_capabilities(plan)) notices_.push_back("warning: " + *why);
    for (const std::string& file : config_.files) {
      if (::access(file.c_str(), R_OK) != 0)
        notices_.push_back("warning: a reload can't read " + file +
                           ": it is another user's, and root keeps no right to that; chown root " +
                           file);
    }
  }
  // By the user that will write there, and open it anew.
  if (auto failure = open_log()) return failure;
  if (config_.sandbox == config::Sandbox::off) return std::nullopt;
  for (const std::string& missing : enter_sandbox(plan)) notices_.push_back("warning: " + missing);
  return std::nullopt;
}

// The first generation, bound and with its keys, but for the workers.
std::optional<StartFailure> Gateway::prepare_first() {
  Parts& parts = *parts_;
  if (auto failure = fit_descriptors()) return failure;
  for (size_t worker = 0; worker < config_.cores.size(); ++worker)
    parts.auth_counters.push_back(std::make_unique<auth::AuthCounters>());
  LiveGeneration& first = parts.generations.emplace_back();
  first.generation =
      std::make_unique<Generation>(parts.registry, config_, core::fresh_secret<uint64_t>());
  first.keeper = std::make_unique<KeyKeeper>(first.generation->config(), &parts.key_counters);
  if (const auto complaints = first.keeper->load(); !complaints.empty()) {
    std::string all;
    for (const std::string& complaint : complaints)
      all += (all.empty() ? "" : "\nsluice: ") + complaint;
    return StartFailure{exit_usage, all};
  }
  if (const auto failure = open_listeners(config_, parts.listeners))
    return StartFailure{exit_cannot_bind, *failure};
  for (const int unused : inherited_.take_rest()) ::close(unused);
  port_ = parts.listeners.empty() ? uint16_t{0} : parts.listeners.front().bound.port();
  parts.requests_seen.resize(config_.cores.size());
  if (config_.steering != limiter::Steering::spread) set_steering(limiter::Steering::address);
  first.generation->make_cores({first.keeper->snapshot(), &first.keeper->wish()}, parts.counters());
  fill_messages(*first.generation);
  return std::nullopt;
}

std::optional<StartFailure> Gateway::start() {
  ::signal(SIGPIPE, SIG_IGN);
  parts_->ownership = {.owners = core::fresh_secret<uint64_t>(),
                       .places = core::fresh_secret<core::SipHash::Key>()};
  if (auto failure = prepare_first()) return failure;
  Parts& parts = *parts_;
  const auto workers = static_cast<uint32_t>(config_.cores.size());
  // Senders of a postbox: the workers, the control thread, the offload threads, the keepers of
  // keys.
  const uint32_t mailbox_capacity =
      2 * (config_.bounds.exchanges + core::limits::completions_per_turn);
  for (uint32_t index = 0; index < workers; ++index) {
    parts.postboxes.push_back(std::make_unique<core::Postbox>(
        workers + 2 + core::limits::offload_threads, mailbox_capacity));
  }
  const auto fill = [&](std::vector<ControlMessage>& messages, proxy::MessageKind kind) {
    messages.resize(workers);
    for (ControlMessage& message : messages) message.kind = static_cast<uint16_t>(kind);
  };
  fill(parts.announce, proxy::MessageKind::announce);
  fill(parts.yield, proxy::MessageKind::yield);
  fill(parts.drain, proxy::MessageKind::drain);
  fill(parts.first_cut, proxy::MessageKind::cut);
  fill(parts.second_cut, proxy::MessageKind::cut);
  fill(parts.stop, proxy::MessageKind::stop);
  if (auto failure = give_up_privileges()) return failure;
  // Before the first request it is known who is well.
  parts.health.watch(parts.newest());
  parts.offload = std::make_unique<OffloadPool>(
      workers, config_.bounds.offload_jobs, static_cast<uint16_t>(workers + 1),
      [this](std::span<char> out) { return render_metrics(parts_->sources, out); });
  for (uint32_t index = 0; index < workers; ++index)
    parts.threads.emplace_back([this, index] { run_worker(index); });
  parts.prepared.arrive_and_wait();
  if (parts.failure) {
    for (auto& thread : parts.threads) thread.join();
    parts.threads.clear();
    return parts.failure;
  }
  parts.log_writer->start();
  parts.offload->start(core::limits::offload_threads);
  start_keeper(parts.newest());
  note_loaded();
  return std::nullopt;
}

void Gateway::start_keeper(Generation& generation) {
  Parts& parts = *parts_;
  const auto workers = static_cast<uint32_t>(parts.workers.size());
  LiveGeneration& live = parts.generations.back();
  live.messages.resize(workers);
  const auto publish = [&parts, &live, &generation, workers](const auth::KeySnapshot& snapshot,
                                                             uint64_t sequence) {
    const std::lock_guard lock{parts.keys_mailbox};
    for (uint32_t index = 0; index < workers; ++index) {
      proxy::KeysMessage& message = live.messages[index];
      message.kind = static_cast<uint16_t>(proxy::MessageKind::keys);
      message.generation = &generation.core(index);
      message.snapshot = &snapshot;
      message.sequence = sequence;
      parts.postboxes[index]->post_within_bound(workers + 1 + core::limits::offload_threads,
                                                message);
      if (parts.postboxes[index]->claim_doorbell()) parts.kernels[index]->wake();
    }
  };
  const auto has_acknowledged = [&generation](uint64_t sequence) {
    return generation.has_acknowledged_keys(sequence);
  };
  live.keeper->start({publish, has_acknowledged});
}

void Gateway::fail(StartFailure failure) {
  const std::lock_guard lock{parts_->mutex};
  if (!parts_->failure) parts_->failure = std::move(failure);
}

// A worker's thread, from its ring to its last turn.
void Gateway::run_worker(uint32_t index) {
  Parts& parts = *parts_;
  core::enter_thread("sluice-" + std::to_string(index), config_.cores[index]);
  core::KernelUnavailable unavailable;
  parts.kernels[index] =
      core::Kernel::open({.submission_entries = core::limits::submission_entries,
                          .completion_entries = core::limits::completion_entries},
                         unavailable);
  if (parts.kernels[index] == nullptr) fail({exit_no_io_uring, unavailable.reason});
  parts.opened.arrive_and_wait();

  const auto failed = [&] {
    const std::lock_guard lock{parts.mutex};
    return parts.failure.has_value();
  };
  if (!failed()) {
    proxy::WorkerOptions options{.index = index,
                                 .generation = &parts.newest().core(index),
                                 .labels = &parts.registry.labels(),
                                 .kernel = parts.kernels[index].get()};
    for (size_t peer = 0; peer < parts.postboxes.size(); ++peer) {
      options.peers.push_back({parts.postboxes[peer].get(), parts.kernels[peer].get()});
    }
    options.offload = &parts.offload->queue(index);
    options.log = parts.log_rings.empty() ? nullptr : parts.log_rings[index].get();
    options.log_writer = parts.log_writer.get();
    options.secrets = {.ownership = parts.ownership,
                       .ids = core::fresh_secret<core::SecretRandom::Key>(),
                       .choices = core::fresh_secret<uint64_t>()};
    if (index < journals_.size()) options.journal = journals_[index];
    try {
      parts.workers[index] = std::make_unique<proxy::Worker>(std::move(options));
      if (const core::Error error = parts.workers[index]->prepare(); error != core::Error::none) {
        fail({exit_no_io_uring, "io_uring has no provided-buffer rings here (" +
                                    std::string{core::to_string(error)} +
                                    "); Linux 6.1 or later is needed"});
      }
    } catch (const std::exception& failure) {
      fail({exit_usage,
            std::string{"can't prepare worker "} + std::to_string(index) + ": " + failure.what()});
    }
    parts.offload->set_client(index, {parts.postboxes[index].get(), parts.kernels[index].get()});
    const std::lock_guard lock{parts.mutex};
    parts.sources.workers.push_back(parts.workers[index].get());
    if (!parts.log_rings.empty()) parts.sources.log_rings.push_back(parts.log_rings[index].get());
    parts.sources.log_writer = parts.log_writer.get();
    parts.sources.steering = &parts.steering;
    parts.sources.auth.push_back(parts.auth_counters[index].get());
    parts.sources.keys = &parts.key_counters;
    parts.sources.config = &parts.config_state;
    parts.sources.registry = &parts.registry;
    if (parts.sources.started_at == core::WallTime{})
      parts.sources.started_at = parts.kernels[index]->wall_now();
  }
  parts.prepared.arrive_and_wait();
  if (failed()) return;

  proxy::Worker& worker = *parts.workers[index];
  bool reported = false;
  while (!worker.is_stopped()) {
    worker.turn();
    if (reported || !worker.is_drained()) continue;
    reported = true;
    const std::lock_guard lock{parts.mutex};
    ++parts.drained;
    parts.drained_changed.notify_all();
  }
}

void Gateway::send(std::vector<ControlMessage>& messages) {
  const auto control = static_cast<uint32_t>(parts_->workers.size());
  for (uint32_t index = 0; index < messages.size(); ++index) {
    parts_->postboxes[index]->post_within_bound(control, messages[index]);
    if (parts_->postboxes[index]->claim_doorbell()) parts_->kernels[index]->wake();
  }
}

void Gateway::announce_drain() {
  if (parts_->announced || parts_->draining) return;
  parts_->announced = true;
  send(parts_->announce);
}

void Gateway::yield() {
  if (!parts_->draining) send(parts_->yield);
}

void Gateway::begin_drain() {
  if (parts_->draining) return;
  parts_->draining = true;
  send(parts_->drain);
}

void Gateway::cut() {
  send(parts_->has_cut ? parts_->second_cut : parts_->first_cut);
  parts_->has_cut = true;
}

bool Gateway::wait(std::chrono::nanoseconds timeout) {
  std::unique_lock lock{parts_->mutex};
  return parts_->drained_changed.wait_for(
      lock, timeout, [this] { return parts_->drained == parts_->workers.size(); });
}

DrainReport Gateway::stop() {
  Parts& parts = *parts_;
  if (!parts.draining) {
    begin_drain();
    if (!wait(std::chrono::milliseconds{200})) cut();
    if (!wait(std::chrono::seconds{3})) cut();
  }
  while (!wait(std::chrono::seconds{1})) {
  }
  parts.health.stop();
  for (LiveGeneration& live : parts.generations) live.keeper->stop();
  send(parts.stop);
  for (auto& thread : parts.threads) thread.join();
  parts.threads.clear();
  parts.offload->stop();
  parts.log_writer->stop();
  for (const ListenerSet& set : parts.listeners) {
    if (!leaves_names_) remove_name(set);
  }
  DrainReport report;
  for (const auto& worker : parts.workers) {
    report.finished += worker->counters().drain_finished.get();
    report.cut += worker->counters().drain_cut.get();
  }
  return report;
}

void Gateway::reopen_log() { parts_->log_writer->reopen(); }
bool Gateway::is_reopening_log() const { return parts_->log_writer->is_reopening(); }

}  // namespace sluice::gateway
