// The whole gateway: listeners, one thread a worker, the offload pool, the log writer; start,
// reload, drain, stop.
//
//   Gateway gateway{config};
//   if (auto failure = gateway.start()) ...          // bound and serving when it returns nothing
//   auto next = gateway.prepare(config, ...);        // elsewhere; may take long
//   if (auto failure = gateway.adopt(next)) ...      // nothing has changed; else all of it has
//   gateway.begin_drain(); ... gateway.wait(deadline) ... gateway.cut();
//   auto report = gateway.stop();
//
// Used by one control thread, but for prepare().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/config.h"
#include "gateway/listener.h"
#include "gateway/resolver.h"

namespace sluice::gateway {

class Generation;
struct LiveGeneration;

// A configuration that is ready to take the place of the running one; nothing of it works yet.
using NextGeneration = std::shared_ptr<LiveGeneration>;
// Why the gateway did not start, and what the process exits with because of it.
struct StartFailure {
  int exit_code;
  std::string text;
};

inline constexpr int exit_clean = 0;
inline constexpr int exit_usage = 2;
inline constexpr int exit_cut = 3;
inline constexpr int exit_no_io_uring = 4;
inline constexpr int exit_cannot_bind = 5;

struct DrainReport {
  uint64_t finished = 0;  // requests that ended after the drain began
  uint64_t cut = 0;       // requests that the deadline ended
};

class Gateway {
 public:
  explicit Gateway(config::Config config);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Waits for key servers and endpoints unless it is interrupted, which is a failure, too.
  [[nodiscard]] std::optional<StartFailure> start(const Interrupted& is_interrupted = {});
  // The port that was bound, which for ":0" is one that was free.
  [[nodiscard]] uint16_t port() const { return port_; }
  // The one that runs; until the next reload.
  [[nodiscard]] const config::Config& config() const;
  // Bytes that the bounds allow for, all cores together; most of it is never touched.
  [[nodiscard]] uint64_t memory_bound_bytes() const;

  // Before start(): sockets that listen already.
  void inherit(std::vector<int> listeners) {
    inherited_ = InheritedListeners{std::move(listeners)};
  }

  // What takes long of a reload: keys that are new are fetched, endpoints that are new are asked.
  // Any thread, one at a time; `running` is config(), and nothing is adopted meanwhile. Or what is
  // wrong.
  [[nodiscard]] std::variant<NextGeneration, std::string> prepare(
      config::Config next, const config::Config& running, const Interrupted& is_interrupted);
  // It takes the place of the running one, for whatever begins from now on; nothing that is under
  // way is touched. What is wrong, and nothing has changed.
  [[nodiscard]] std::optional<std::string> adopt(NextGeneration next);
  // Why there can't be one more, or nothing.
  [[nodiscard]] std::optional<std::string> why_no_room();
  // A reload came to nothing.
  void note_failed_reload();
  // All listening sockets, in their order, for the process that takes this one's place.
  [[nodiscard]] std::vector<int> listeners() const;
  // Whoever took the place has the names of the unix sockets as well.
  void leave_names() { leaves_names_ = true; }
  // A number that grows as long as the worker does its turns.
  [[nodiscard]] std::vector<uint64_t> progress();

  // Once a second, while serving: measures how even the load is, and stops steering where it does
  // no good; frees configurations that nothing uses any more.
  void look_after();
  // Steers new connections by address, or stops; automatic counts as by address. False if the
  // kernel refuses.
  bool set_steering(limiter::Steering steering);
  // What there is to say since the last call: lines for people.
  [[nodiscard]] std::vector<std::string> take_notices();
  // Before start(): what each worker's shard decides is written there as well. One a worker; they
  // outlive the gateway.
  void keep_journals(std::vector<limiter::Journal*> journals) { journals_ = std::move(journals); }

  // Visits to other cores so far, all workers together.
  [[nodiscard]] uint64_t remote_checks() const;

  // /health says no, and everything else goes on.
  void announce_drain();
  // Another process listens: connections go there one by one, after an answer each. Then
  // begin_drain().
  void yield();
  void begin_drain();
  // What is not finished is cut; called again, it is closed at once.
  void cut();
  // Waits at most `timeout` for all workers to be drained; whether they are.
  [[nodiscard]] bool wait(std::chrono::nanoseconds timeout);
  // Joins everything, once all are drained. Without a drain before it, what is open has 200 ms.
  DrainReport stop();
  void reopen_log();
  [[nodiscard]] bool is_reopening_log() const;

 private:
  struct Parts;

  [[nodiscard]] std::optional<std::string> open_listeners(const config::Config& config,
                                                          std::vector<ListenerSet>& sets);
  [[nodiscard]] std::optional<StartFailure> prepare_first(const Interrupted& is_interrupted);
  [[nodiscard]] std::optional<StartFailure> start_threads(const Interrupted& is_interrupted);
  void make_postboxes();
  void look_after_steering();
  void sweep_generations();
  void note_loaded();
  void fill_messages(Generation& generation);
  void publish(Generation& generation);
  bool steer(const ListenerSet& set, bool by_address);
  [[nodiscard]] std::optional<StartFailure> fit_descriptors();
  [[nodiscard]] std::optional<StartFailure> open_log();
  [[nodiscard]] std::optional<StartFailure> give_up_privileges();
  void open_kernel(uint32_t index);
  void run_worker(uint32_t index);
  void serve_keys();
  void send(std::vector<struct ControlMessage>& messages);
  void fail(StartFailure failure);

  config::Config config_;  // until start()
  InheritedListeners inherited_;
  bool leaves_names_ = false;
  std::vector<std::string> notices_;
  std::vector<limiter::Journal*> journals_;
  uint16_t port_ = 0;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::gateway
