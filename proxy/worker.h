// One core: everything that it owns, and the dispatch of what happens to it. Shares nothing with other workers but
// mailboxes; has no thread of its own and no state outside itself, so that a test runs several of them by turns.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "auth/authenticator.h"
#include "core/buffer_pool.h"
#include "core/kernel.h"
#include "core/loop.h"
#include "core/pipe_pool.h"
#include "core/random.h"
#include "core/slab.h"
#include "limiter/owner.h"
#include "limiter/shard.h"
#include "metrics/access_log.h"
#include "metrics/log_ring.h"
#include "proxy/config.h"
#include "proxy/counters.h"
#include "proxy/exchange.h"
#include "proxy/offload_pool.h"
#include "proxy/operation.h"
#include "proxy/upstream_pool.h"

namespace sluice::metrics {
class LogWriter;
}

namespace sluice::proxy {

class KeyKeeper;

inline constexpr size_t traceparent_bytes = 55;
inline constexpr uint64_t failing_addresses_max = 8192;  // a core

// How to reach another worker.
struct Peer {
  core::Postbox* postbox = nullptr;
  core::Kernel* kernel = nullptr;
};

struct WorkerOptions {
  uint32_t index = 0;
  const Config* config = nullptr;
  core::Kernel* kernel = nullptr;
  int listener = -1;        // closed by the worker when it stops listening
  std::vector<Peer> peers;  // all workers, this one too, by index
  OffloadPool* offload = nullptr;
  metrics::LogRing* log = nullptr;           // nullptr: no log
  metrics::LogWriter* log_writer = nullptr;  // nullptr in tests
  uint64_t seed = 0;                         // the same for all workers
  const auth::KeySnapshot* keys = nullptr;   // to begin with
  KeyKeeper* keeper = nullptr;               // nullptr in tests: there are never others
  limiter::Journal* journal = nullptr;       // of this worker's shard; tests and `sluice limits verify`
};

class Worker {
 public:
  explicit Worker(WorkerOptions options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Why the worker can't run, or Error::none. Before the first turn.
  [[nodiscard]] core::Error prepare();
  void turn() { loop_.turn(*this); }
  [[nodiscard]] core::Duration begin_turn() { return loop_.begin_turn(*this); }
  void finish_turn(core::Duration timeout) { loop_.finish_turn(*this, timeout); }
  // Nothing is open, nothing in flight; but other workers may still ask about keys that this one owns.
  [[nodiscard]] bool is_drained() const;
  // Told to stop. No turn follows.
  [[nodiscard]] bool is_stopped() const { return stage_ == Stage::stopped; }

  // --- what the machines use ---------------------------------------------------------------------------------------------
  [[nodiscard]] const Config& config() const { return *options_.config; }
  [[nodiscard]] uint32_t index() const { return options_.index; }
  [[nodiscard]] Counters& counters() { return counters_; }
  [[nodiscard]] core::Kernel& kernel() { return *options_.kernel; }
  [[nodiscard]] core::TimerWheel& wheel() { return loop_.wheel(); }
  [[nodiscard]] core::Instant now() const { return loop_.now(); }
  [[nodiscard]] auth::EpochSeconds epoch_seconds() { return std::chrono::floor<std::chrono::seconds>(kernel().wall_now()); }
  [[nodiscard]] bool batch_is_small() const { return loop_.batch_is_small(); }
  [[nodiscard]] bool is_draining() const { return stage_ != Stage::serving; }
  [[nodiscard]] core::BufferPool& buffers(core::BufferGroup group) {
    return group == core::BufferGroup::downstream ? request_buffers_ : response_buffers_;
  }
  [[nodiscard]] core::Slab<Exchange>& exchanges() { return exchanges_; }
  [[nodiscard]] core::Slab<UpstreamConnection>& upstreams() { return upstreams_; }
  [[nodiscard]] UpstreamPool& pool() { return pool_; }
  [[nodiscard]] core::PipePool& pipes() { return pipes_; }
  [[nodiscard]] const core::PipePool& pipes() const { return pipes_; }
  [[nodiscard]] auth::Authenticator& authenticator() { return authenticator_; }
  [[nodiscard]] const limiter::Ownership& ownership() const { return ownership_; }
  // Answers for keys that this core owns.
  void answer(LimitVisit& visit);
  // An exchange waits for keys until wake_key_waiters(); false if nobody brings any.
  [[nodiscard]] bool wait_for_keys(Exchange& exchange);
  void stop_waiting_for_keys(Exchange& exchange) { core::IntrusiveList<Exchange, KeyWaitTag>::remove(exchange); }
  [[nodiscard]] bool submit_signature(ExchangeMessage& job);
  void signature_checked(const ExchangeMessage& job);
  // Wrong tokens of this address: whether there were too many, and one more.
  [[nodiscard]] limiter::Verdict judge_failures(const core::SocketAddress& client) { return visit_failures(client, limiter::Visit::probe); }
  void note_failure(const core::SocketAddress& client) { static_cast<void>(visit_failures(client, limiter::Visit::decide)); }
  // A place for a request that may have to be held: as many as Bounds::held.
  [[nodiscard]] limiter::Holding take_hold_place();
  void give_hold_place() { --hold_places_taken_; }
  [[nodiscard]] core::IntrusiveList<DownstreamConnection, IdleTag>& idle_connections() { return idle_; }

  [[nodiscard]] core::Token token(Operation operation, const DownstreamConnection& object) const {
    return downstreams_.token(static_cast<uint8_t>(operation), object);
  }
  [[nodiscard]] core::Token token(Operation operation, const UpstreamConnection& object) const {
    return upstreams_.token(static_cast<uint8_t>(operation), object);
  }
  [[nodiscard]] core::Token token(Operation operation, const Exchange& object) const {
    return exchanges_.token(static_cast<uint8_t>(operation), object);
  }

  // A receive that found no buffer waits here for one.
  void park(DownstreamConnection& connection);
  void park(UpstreamConnection& connection);
  void unpark(DownstreamConnection& connection);
  void unpark(UpstreamConnection& connection);
  // Its next request begins with the next turn.
  void make_ready(DownstreamConnection& connection) { ready_.push_back(connection); }
  // Closing, and nothing in flight: finished at the end of the batch.
  void settled(DownstreamConnection& connection) { settled_downstreams_.push_back(connection); }
  void settled(UpstreamConnection& connection) { settled_upstreams_.push_back(connection); }
  void release(DownstreamConnection& connection) { downstreams_.release(connection); }
  void release(UpstreamConnection& connection) { upstreams_.release(connection); }
  void release(Exchange& exchange) { exchanges_.release(exchange); }

  void post(uint32_t owner, ExchangeMessage& message);
  [[nodiscard]] bool submit(ExchangeMessage& job);
  void log(const metrics::AccessRecord& record);
  void make_request_id(std::array<char, 32>& out);
  void make_traceparent(std::array<char, traceparent_bytes>& out);
  [[nodiscard]] std::string_view http_date();

  // --- what others read, from any thread -----------------------------------------------------------------------------------
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] const limiter::Shard& shard() const { return shard_; }
  [[nodiscard]] const auth::Authenticator& authenticator() const { return authenticator_; }
  // The last message of the keeper that this worker is through with.
  [[nodiscard]] uint64_t keys_acknowledged() const { return keys_acknowledged_.load(std::memory_order_acquire); }
  [[nodiscard]] const core::EngineCounters& engine_counters() const { return options_.kernel->counters(); }

  // --- the loop's handler ------------------------------------------------------------------------------------------------
  void on_completion(const core::Completion& completion);
  void on_message(core::Message& message);
  void on_timer(core::Timer& timer);
  void before_wait();
  void after_batch();

  // --- for tests -----------------------------------------------------------------------------------------------------------
  [[nodiscard]] uint32_t downstreams_taken() const { return downstreams_.taken(); }
  [[nodiscard]] uint32_t upstreams_taken() const { return upstreams_.taken(); }
  [[nodiscard]] uint32_t exchanges_taken() const { return exchanges_.taken(); }
  // A connection waits for a buffer although there is one.
  [[nodiscard]] bool can_feed_the_starved() {
    return (!starved_downstreams_.empty() && request_buffers_.can_serve() && request_buffers_.held() + 1 < request_buffers_.count()) ||
           (!starved_upstreams_.empty() && response_buffers_.can_serve() && response_buffers_.held() + 1 < response_buffers_.count());
  }
  [[nodiscard]] uint32_t hold_places_taken() const { return hold_places_taken_; }
  [[nodiscard]] uint64_t timers_armed() { return loop_.wheel().armed(); }

 private:
  // How new connections come in.
  enum class Accepting : uint8_t {
    pausing,     // nothing armed: full, or out of descriptors for a moment
    multishot,   // armed for many
    once,        // armed for one: near the bound
    cancelling,  // asked to end
    stopped,     // no listener any more
  };

  // How far the worker's life is.
  enum class Stage : uint8_t {
    serving,
    draining,  // what is in flight is finished, nothing new is let in
    stopped,   // no turn follows
  };

  void on_keys(const KeysMessage& message);
  void acknowledge_keys();
  [[nodiscard]] limiter::Verdict visit_failures(const core::SocketAddress& client, limiter::Visit visit);
  void on_accept(const core::Completion& completion);
  void admit_socket(int socket);
  void make_room();
  void arm_accept();
  void cancel_accept();
  void stop_listening();
  void begin_drain();
  void cut();
  [[nodiscard]] core::Token accept_token() const { return {static_cast<uint8_t>(Operation::accept), 0, 0}; }
  [[nodiscard]] uint32_t connections_max() const { return config().bounds.connections; }

  WorkerOptions options_;
  core::Loop loop_;
  core::Random random_;
  core::BufferPool request_buffers_;
  core::BufferPool response_buffers_;
  core::Slab<DownstreamConnection> downstreams_;
  core::Slab<UpstreamConnection> upstreams_;
  core::Slab<Exchange> exchanges_;
  core::PipePool pipes_;
  UpstreamPool pool_;
  auth::Authenticator authenticator_;
  limiter::Ownership ownership_;
  limiter::Shard shard_;
  limiter::Shard failures_;  // of this core alone
  Counters counters_;
  metrics::LineFormatter formatter_;

  core::IntrusiveList<DownstreamConnection, IdleTag> idle_;  // longest idle first
  core::IntrusiveList<DownstreamConnection, ReadyTag> ready_;
  core::IntrusiveList<DownstreamConnection, StarvedTag> starved_downstreams_;
  core::IntrusiveList<UpstreamConnection, StarvedTag> starved_upstreams_;
  core::IntrusiveList<DownstreamConnection, SettledTag> settled_downstreams_;
  core::IntrusiveList<UpstreamConnection, SettledTag> settled_upstreams_;

  Accepting accepting_ = Accepting::pausing;
  Stage stage_ = Stage::serving;
  core::Timer accept_timer_;
  std::vector<bool> doorbells_;  // peers that were posted to in this turn
  uint32_t hold_places_taken_ = 0;

  // Keys. Signatures that other threads check refer to the snapshot of their time; it is given up when they are back.
  core::IntrusiveList<Exchange, KeyWaitTag> key_waiters_;
  const auth::KeySnapshot* keys_ = nullptr;
  uint64_t keys_sequence_ = 0;  // of the last message
  uint32_t signatures_out_ = 0;
  uint32_t old_signatures_out_ = 0;  // of the snapshot before
  // The keeper frees what this says is given up.
  std::atomic<uint64_t> keys_acknowledged_{0};
  int64_t date_second_ = -1;
  std::array<char, 32> date_{};
};

}  // namespace sluice::proxy
