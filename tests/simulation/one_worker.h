// One worker over the simulated kernel, for tests that want a whole gateway and no surprises: time
// passes when nothing else can happen, and never on a clock.
#pragma once

#include <memory>

#include "proxy/worker.h"
#include "tests/simulation/control.h"
#include "tests/simulation/kernel_simulated.h"
#include "tests/simulation/world.h"

namespace sluice::simulation {

inline constexpr uint16_t one_worker_port = 8000;
inline constexpr uint16_t one_worker_origin_port = 9001;

// No token is asked for, nothing is limited; the endpoint is one_worker_origin_port. Not complete
// yet.
[[nodiscard]] inline config::Config open_config(uint32_t pipes = 64) {
  config::Config config;
  config::add_upstream(config, "default",
                       core::SocketAddress::ipv4(0x7f000001, one_worker_origin_port),
                       "127.0.0.1:9001");
  config.cores = {-1};
  config.bounds = {.connections = 300,
                   .exchanges = 32,
                   .upstream_connections = 16,
                   .pipes = pipes,
                   .limiter_keys = 100};
  config.routes.push_back({.name = "default", .auth = config::AuthMode::none});
  return config;
}

[[nodiscard]] inline config::Config complete_config(uint32_t pipes) {
  config::Config config = open_config(pipes);
  config::complete(config);
  return config;
}

class OneWorker {
 public:
  // `config` is complete.
  OneWorker(World& world, const config::Config& config) : world_(world) {
    core::KernelUnavailable unavailable;
    kernel_ = core::Kernel::open({}, unavailable);
    listener_ = adopt(*kernel_, world.listen(one_worker_port, nullptr));
    control_.make(config);
    proxy::WorkerOptions options = worker_options(control_, 0, *kernel_, listener_);
    options.peers.push_back({&postbox_, kernel_.get()});
    options.log = &log_;
    worker_ = std::make_unique<proxy::Worker>(std::move(options));
    static_cast<void>(worker_->prepare());
    timeout_ = worker_->begin_turn();
  }

  // Until `duration` has passed.
  void run_for(core::Duration duration) {
    const core::Instant until = world_.now() + duration;
    while (true) {
      if (!waits_) submit(*kernel_, timeout_);
      waits_ = true;
      pump(*kernel_, true);
      while (!is_runnable(*kernel_)) {
        const core::Instant next = std::min(world_.next_event(), wakes_at(*kernel_));
        if (next > until) {
          world_.advance_to(until);
          return;
        }
        world_.advance_to(next);
        world_.run_due();
        pump(*kernel_, true);
      }
      waits_ = false;
      worker_->finish_turn(timeout_);
      timeout_ = worker_->begin_turn();
      for (const auto piece : log_.readable()) {
        if (!piece.empty()) last_log_.assign(piece.data(), piece.size());
        log_.consume(piece.size());
      }
    }
  }
  [[nodiscard]] proxy::Worker& worker() { return *worker_; }
  // What was logged last, one line or several.
  [[nodiscard]] const std::string& last_log() const { return last_log_; }
  // From now on with this configuration; the listener stays.
  void reload(const config::Config& config) {
    proxy::AdoptMessage& message = control_.make(config).core(0).message();
    message.listeners = {{listener_, config.listeners.front()}};
    send(message, proxy::MessageKind::adopt);
  }
  [[nodiscard]] Control& control() { return control_; }
  void announce() { send(announce_, proxy::MessageKind::announce); }
  void drain() { send(drain_, proxy::MessageKind::drain); }
  void cut() { send(cut_, proxy::MessageKind::cut); }

 private:
  void send(core::Message& message, proxy::MessageKind kind) {
    message.kind = static_cast<uint16_t>(kind);
    static_cast<void>(postbox_.post(1, message));
    if (postbox_.claim_doorbell()) kernel_->wake();
  }

  World& world_;
  Control control_{1};
  int listener_ = -1;
  std::unique_ptr<core::Kernel> kernel_;
  core::Postbox postbox_{4, 64};
  metrics::LogRing log_{1 << 20};
  std::string last_log_;
  core::Message announce_, drain_, cut_;
  std::unique_ptr<proxy::Worker> worker_;
  core::Duration timeout_{};
  bool waits_ = false;
};

}  // namespace sluice::simulation
