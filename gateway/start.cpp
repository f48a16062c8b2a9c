// How a gateway comes up: what it binds and reads, what it gives up, and its threads.
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <system_error>

#include "core/affinity.h"
#include "core/fresh_secret.h"
#include "gateway/parts.h"
#include "gateway/sandbox_plan.h"

namespace sluice::gateway {

namespace {

const std::string no_memory =
    "there is no memory for what the configuration allows; lower its bounds, or raise the limit "
    "(ulimit -v, MemoryMax=)";
const StartFailure interrupted_start{exit_clean, "stopped before it served"};

}  // namespace

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
std::optional<StartFailure> Gateway::prepare_first(const Interrupted& is_interrupted) {
  Parts& parts = *parts_;
  if (auto failure = fit_descriptors()) return failure;
  for (size_t worker = 0; worker < config_.cores.size(); ++worker)
    parts.auth_counters.push_back(std::make_unique<auth::AuthCounters>());
  LiveGeneration& first = *parts.generations.emplace_back(std::make_shared<LiveGeneration>());
  first.generation =
      std::make_unique<Generation>(parts.registry, config_, core::fresh_secret<uint64_t>());
  if (first.generation->complaint())
    return StartFailure{exit_usage, *first.generation->complaint()};
  first.keys = parts.keeper.admit(first.generation->config());
  first.messages.resize(config_.cores.size());
  if (!parts.keeper.settle(*first.keys, is_interrupted)) return interrupted_start;
  std::string all;
  for (const std::string& complaint : first.keys->complaints())
    all += (all.empty() ? "" : "\nsluice: ") + complaint;
  if (!all.empty()) return StartFailure{exit_usage, all};
  if (const auto failure = open_listeners(config_, parts.listeners))
    return StartFailure{exit_cannot_bind, *failure};
  for (const int unused : inherited_.take_rest()) ::close(unused);
  port_ = parts.listeners.empty() ? uint16_t{0} : parts.listeners.front().bound.port();
  parts.requests_seen.resize(config_.cores.size());
  if (config_.steering != limiter::Steering::spread) set_steering(limiter::Steering::address);
  first.generation->make_cores({first.keys->snapshot(), &parts.keeper.wish()}, parts.counters());
  first.generation->take_effect();
  fill_messages(*first.generation);
  return std::nullopt;
}

void Gateway::make_postboxes() {
  Parts& parts = *parts_;
  const auto workers = static_cast<uint32_t>(config_.cores.size());
  const uint32_t mailbox_capacity =
      2 * (config_.bounds.exchanges + core::limits::completions_per_turn);
  for (uint32_t index = 0; index < workers; ++index) {
    parts.postboxes.push_back(
        std::make_unique<core::Postbox>(proxy::Senders{workers}.count(), mailbox_capacity));
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
}

std::optional<StartFailure> Gateway::start(const Interrupted& is_interrupted) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is a failed write
  parts_->ownership = {.owners = core::fresh_secret<uint64_t>(),
                       .places = core::fresh_secret<core::SipHash::Key>()};
  try {
    if (auto failure = prepare_first(is_interrupted)) return failure;
    make_postboxes();
    if (auto failure = give_up_privileges()) return failure;
    if (auto failure = start_threads(is_interrupted)) return failure;
  } catch (const std::bad_alloc&) {
    return StartFailure{exit_usage, no_memory};
  }
  serve_keys();
  note_loaded();
  return std::nullopt;
}

// Everybody but the control thread. Those that don't serve come first: what can't be had is known
// before a worker takes a connection.
std::optional<StartFailure> Gateway::start_threads(const Interrupted& is_interrupted) {
  Parts& parts = *parts_;
  const auto workers = static_cast<uint32_t>(config_.cores.size());
  const auto failed = [](const std::string& why) { return StartFailure{exit_usage, why}; };
  if (const auto why = parts.keeper.start()) return failed(*why);
  if (const auto why = parts.health.start()) return failed(*why);
  // Before the first request it is known who is well.
  parts.health.watch(parts.newest());
  if (!parts.health.settle(parts.newest(), is_interrupted)) return interrupted_start;
  parts.offload = std::make_unique<OffloadPool>(
      workers, config_.bounds.offload_jobs,
      [this](std::span<char> out) { return render_metrics(parts_->sources, out); });
  if (const auto why = parts.offload->start(core::limits::offload_threads)) return failed(*why);
  if (const auto why = parts.log_writer->start()) return failed(*why);
  try {
    for (uint32_t index = 0; index < workers; ++index)
      parts.threads.emplace_back([this, index] { run_worker(index); });
  } catch (const std::system_error& failure) {
    fail(failed("no thread for worker " + std::to_string(parts.threads.size()) + " is to be had (" +
                failure.code().message() +
                "); raise the bound of processes (ulimit -u, TasksMax=, pids.max)"));
    for (size_t missing = parts.threads.size(); missing < workers; ++missing) {
      parts.opened.arrive_and_drop();
      parts.prepared.arrive_and_drop();
    }
  }
  parts.prepared.arrive_and_wait();
  if (parts.failure) {
    for (auto& thread : parts.threads) thread.join();
    parts.threads.clear();
    return parts.failure;
  }
  return std::nullopt;
}

void Gateway::fail(StartFailure failure) {
  const std::lock_guard lock{parts_->mutex};
  if (!parts_->failure) parts_->failure = std::move(failure);
}

void Gateway::open_kernel(uint32_t index) {
  core::KernelUnavailable unavailable;
  try {
    auto& kernel = parts_->kernels[index];
    kernel = core::Kernel::open({.submission_entries = core::limits::submission_entries,
                                 .completion_entries = core::limits::completion_entries},
                                unavailable);
    if (kernel == nullptr) fail({exit_no_io_uring, unavailable.reason});
  } catch (const std::bad_alloc&) {
    fail({exit_usage, no_memory});
  }
}

// A worker's thread, from its ring to its last turn.
void Gateway::run_worker(uint32_t index) {
  Parts& parts = *parts_;
  core::enter_thread("sluice-" + std::to_string(index), config_.cores[index]);
  open_kernel(index);
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
    } catch (const std::bad_alloc&) {
      fail({exit_usage, no_memory});
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
    parts.sources.keys = &parts.keeper;
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
    worker.finish_yield();
    if (reported || !worker.is_drained()) continue;
    reported = true;
    const std::lock_guard lock{parts.mutex};
    ++parts.drained;
    parts.drained_changed.notify_all();
  }
}

}  // namespace sluice::gateway
