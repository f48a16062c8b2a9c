// One core: everything that it owns, and the dispatch of what happens to it. Shares nothing with
// other workers but mailboxes; has no thread of its own and no state outside itself, so that a test
// runs several of them by turns.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "auth/authenticator.h"
#include "config/config.h"
#include "core/buffer_pool.h"
#include "core/kernel.h"
#include "core/loop.h"
#include "core/name_note.h"
#include "core/pipe_pool.h"
#include "core/random.h"
#include "core/slab.h"
#include "limiter/owner.h"
#include "limiter/shard.h"
#include "metrics/access_log.h"
#include "metrics/log_ring.h"
#include "proxy/acceptor.h"
#include "proxy/core_generation.h"
#include "proxy/counters.h"
#include "proxy/exchange/exchange.h"
#include "proxy/offload_queue.h"
#include "proxy/operation.h"
#include "proxy/secrets.h"
#include "proxy/share_table.h"
#include "proxy/upstream/core_upstream.h"

namespace sluice::metrics {
class LogWriter;
}

namespace sluice::proxy {

inline constexpr size_t traceparent_bytes = 55;
inline constexpr uint64_t failing_addresses_max = 8192;  // a core

// How to reach another worker.
struct Peer {
  core::Postbox* postbox = nullptr;
  core::Kernel* kernel = nullptr;
};

struct WorkerOptions {
  uint32_t index = 0;
  CoreGeneration* generation = nullptr;  // to begin with; its message has the listeners
  const Labels* labels = nullptr;
  core::Kernel* kernel = nullptr;
  std::vector<Peer> peers;  // all workers, this one too, by index
  OffloadQueue* offload = nullptr;
  metrics::LogRing* log = nullptr;           // nullptr: no log
  metrics::LogWriter* log_writer = nullptr;  // nullptr in tests
  Secrets secrets;
  limiter::Journal* journal = nullptr;  // of this worker's shard; tests and `sluice limits verify`
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
  // Nothing is open, nothing in flight; but other workers may still ask about keys that this one
  // owns.
  [[nodiscard]] bool is_drained() const;
  // Told to stop. No turn follows.
  [[nodiscard]] bool is_stopped() const { return stage_ == Stage::stopped; }

  // --- what the machines use -----------------------------------------------------------------
  // What new exchanges begin with.
  [[nodiscard]] CoreGeneration& generation() { return *generation_; }
  // The newest. What is the same in all of them (bounds, cores), and what may change for who is
  // there already.
  [[nodiscard]] const config::Config& config() const { return generation_->config(); }
  [[nodiscard]] const Labels& labels() const { return *options_.labels; }
  [[nodiscard]] uint32_t index() const { return options_.index; }
  [[nodiscard]] Counters& counters() { return counters_; }
  [[nodiscard]] core::Kernel& kernel() { return *options_.kernel; }
  [[nodiscard]] core::TimerWheel& wheel() { return loop_.wheel(); }
  [[nodiscard]] core::Instant now() const { return loop_.now(); }
  [[nodiscard]] auth::EpochSeconds epoch_seconds() {
    return std::chrono::floor<std::chrono::seconds>(kernel().wall_now());
  }
  [[nodiscard]] bool batch_is_small() const { return loop_.batch_is_small(); }
  [[nodiscard]] bool is_draining() const {
    return stage_ != Stage::serving && stage_ != Stage::announcing;
  }
  [[nodiscard]] bool is_yielding() const { return stage_ == Stage::yielding; }
  // Draining, or about to: whoever asks for /health shall look elsewhere.
  [[nodiscard]] bool is_leaving() const { return stage_ != Stage::serving; }
  [[nodiscard]] core::BufferPool& buffers(core::BufferGroup group) {
    return group == core::BufferGroup::downstream ? request_buffers_ : response_buffers_;
  }
  [[nodiscard]] core::Slab<Exchange>& exchanges() { return exchanges_; }
  [[nodiscard]] core::Slab<UpstreamConnection>& upstreams() { return upstreams_; }
  [[nodiscard]] core::Random& random() { return random_; }
  [[nodiscard]] core::IntrusiveList<CoreUpstream, HungryTag>& hungry_upstreams() { return hungry_; }
  void note_idle(UpstreamConnection& connection) { idle_upstreams_.push_front(connection); }
  void note_not_idle(UpstreamConnection& connection) {
    core::IntrusiveList<UpstreamConnection, IdleAgeTag>::remove(connection);
  }
  // There is no room for one more connection: the one that has been idle for longest goes, of this
  // upstream or of any.
  void make_room_upstream(const CoreUpstream* of);
  // Others may have what somebody here waits for, or wait for what was given up here.
  void wake_others();
  [[nodiscard]] core::PipePool& pipes() { return pipes_; }
  [[nodiscard]] const core::PipePool& pipes() const { return pipes_; }
  [[nodiscard]] const limiter::Ownership& ownership() const { return ownership_; }
  // Answers for keys that this core owns.
  void answer(LimitVisit& visit);
  [[nodiscard]] bool submit_signature(ExchangeMessage& job, CoreGeneration& generation);
  // Wrong tokens of this address: whether there were too many, and one more.
  [[nodiscard]] limiter::Verdict judge_failures(const core::SocketAddress& client) {
    return visit_failures(client, limiter::Visit::probe);
  }
  void note_failure(const core::SocketAddress& client) {
    static_cast<void>(visit_failures(client, limiter::Visit::decide));
  }
  // A place for a request that may have to be held: as many as Bounds::held, and of them no key has
  // so many that others find none. `hold` is for one that is; what it returns, give_hold_place()
  // gets.
  [[nodiscard]] limiter::Holding take_hold_place(uint64_t key);
  [[nodiscard]] Share* hold(uint64_t key) { return &held_.join(key); }
  void give_hold_place(Share* held) {
    --hold_places_taken_;
    if (held != nullptr) held_.leave(*held);
  }
  [[nodiscard]] core::IntrusiveList<DownstreamConnection, IdleTag>& idle_connections() {
    return idle_;
  }

  // --- who has how much of the room: worker_room.cpp -----------------------------------------
  enum class Joined : uint8_t { counted, uncounted, refused };
  // One more connection of this address; `share` is what it has of the room then.
  [[nodiscard]] Joined join_address(const core::SocketAddress& address, Share*& share);
  void leave_address(Share& share) { addresses_.leave(share); }
  void disconnect_address(Share& share) {
    --share.connections;
    addresses_.leave(share);
  }
  // A head that is not whole yet. With one too many the oldest goes.
  void begin_gathering(DownstreamConnection& connection);
  void end_gathering(DownstreamConnection& connection);
  // A request whose client is waited for. Whoever has waited longest makes room for others.
  void begin_waiting_for_client(Exchange& exchange);
  // A request has begun: of those that only wait for a client one may have to go for it.
  void make_room_for(const Exchange& exchange);
  // The one of `waiting` that has waited longest goes, if its client has more than this one's.
  void shed_stalled(core::IntrusiveList<Exchange, ClientWaitTag>& waiting,
                    const Exchange& for_this);
  // A request is unanswered until its answer is sent, or is one of our own.
  void begin_unanswered() { ++unanswered_; }
  void end_unanswered() { --unanswered_; }
  // All places are taken: only what Sluice answers itself is served.
  [[nodiscard]] bool is_overloaded() const { return unanswered_ > config().bounds.exchanges; }

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
  // A field that was dropped for its name; the control thread says so.
  void note_dropped_field(std::string_view name) { dropped_field_.note(name, now()); }
  [[nodiscard]] core::NameNote& dropped_field() { return dropped_field_; }
  // Memory for the fields that a head gets, until the head is written.
  [[nodiscard]] std::span<http::AddedField> added_fields() { return added_fields_; }

  // --- what others read, from any thread -----------------------------------------------------
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] const limiter::Shard& shard() const { return shard_; }
  [[nodiscard]] const core::EngineCounters& engine_counters() const {
    return options_.kernel->counters();
  }

  // --- the loop's handler --------------------------------------------------------------------
  void on_completion(const core::Completion& completion);
  void on_message(core::Message& message);
  void on_timer(core::Timer& timer);
  void before_wait();
  void after_batch();

  // --- for tests -----------------------------------------------------------------------------
  [[nodiscard]] uint32_t downstreams_taken() const { return downstreams_.taken(); }
  [[nodiscard]] uint32_t upstreams_taken() const { return upstreams_.taken(); }
  [[nodiscard]] uint32_t exchanges_taken() const { return exchanges_.taken(); }
  [[nodiscard]] uint32_t addresses_known() const { return addresses_.keys(); }
  [[nodiscard]] core::BufferPool& request_buffers() { return request_buffers_; }
  // A connection waits for a buffer although there is one.
  [[nodiscard]] bool can_feed_the_starved() {
    return (!starved_downstreams_.empty() && request_buffers_.can_serve() &&
            request_buffers_.held() + 1 < request_buffers_.count()) ||
           (!starved_upstreams_.empty() && response_buffers_.can_serve() &&
            response_buffers_.held() + 1 < response_buffers_.count());
  }
  [[nodiscard]] uint32_t hold_places_taken() const { return hold_places_taken_; }
  [[nodiscard]] uint64_t timers_armed() { return loop_.wheel().armed(); }

 private:
  // How far the worker's life is.
  enum class Stage : uint8_t {
    serving,
    announcing,  // all is as before, but /health says no
    yielding,    // nothing new is let in; who is here is told to come anew with the next answer
    draining,    // what is in flight is finished, nothing new is let in
    stopped,     // no turn follows
  };

  void on_keys(const KeysMessage& message);
  void adopt(AdoptMessage& message);
  void adopt_limits();
  void open_acceptors(AdoptMessage& message);
  void serve_hungry();
  [[nodiscard]] limiter::Verdict visit_failures(const core::SocketAddress& client,
                                                limiter::Visit visit);
  void on_accept(Acceptor& acceptor, const core::Completion& completion);
  void admit_socket(const Acceptor& acceptor, int socket);
  void make_room(Acceptor& acceptor);
  void log_refused_address(const core::SocketAddress& address);
  void arm_accept(Acceptor& acceptor);
  void cancel_accept(Acceptor& acceptor);
  void stop_listening(Acceptor& acceptor);
  void begin_stop_listening(Acceptor& acceptor);
  void stop_all_listening();
  void begin_yield();
  void begin_drain();
  void cut();
  [[nodiscard]] core::Token token(Operation operation, const Acceptor& acceptor) const {
    return {static_cast<uint8_t>(operation), 0,
            static_cast<uint32_t>(&acceptor - acceptors_.data())};
  }
  [[nodiscard]] uint32_t connections_max() const { return config().bounds.connections; }

  WorkerOptions options_;
  CoreGeneration* generation_;
  core::Loop loop_;
  core::Random random_;     // of choices that nothing is to be kept from
  core::SecretRandom ids_;  // of what leaves the process
  core::BufferPool request_buffers_;
  core::BufferPool response_buffers_;
  core::Slab<DownstreamConnection> downstreams_;
  core::Slab<UpstreamConnection> upstreams_;
  core::Slab<Exchange> exchanges_;
  core::PipePool pipes_;
  limiter::Ownership ownership_;
  limiter::Shard shard_;
  limiter::Shard failures_;  // of this core alone
  Counters counters_;
  metrics::LineFormatter formatter_;

  core::IntrusiveList<UpstreamConnection, IdleAgeTag> idle_upstreams_;  // longest idle last
  core::IntrusiveList<CoreUpstream, HungryTag> hungry_;           // somebody waits for a connection
  core::IntrusiveList<DownstreamConnection, IdleTag> idle_;       // longest idle first
  core::IntrusiveList<DownstreamConnection, IdleTag> gathering_;  // half heads, the oldest first
  core::IntrusiveList<Exchange, ClientWaitTag> answered_;         // discarding; longest first
  core::IntrusiveList<Exchange, ClientWaitTag> stalled_;          // others; longest first
  ShareTable addresses_;
  ShareTable held_;  // by the key of a limit
  core::Instant refusal_logged_at_{};
  core::IntrusiveList<DownstreamConnection, ReadyTag> ready_;
  core::IntrusiveList<DownstreamConnection, StarvedTag> starved_downstreams_;
  core::IntrusiveList<UpstreamConnection, StarvedTag> starved_upstreams_;
  core::IntrusiveList<DownstreamConnection, SettledTag> settled_downstreams_;
  core::IntrusiveList<UpstreamConnection, SettledTag> settled_upstreams_;

  std::array<Acceptor, acceptors_max> acceptors_;
  size_t acceptors_used_ = 0;  // those from here on were never used
  Stage stage_ = Stage::serving;
  std::vector<bool> doorbells_;  // peers that were posted to in this turn
  uint32_t hold_places_taken_ = 0;
  uint32_t unanswered_ = 0;
  std::array<http::AddedField,
             auth::claims_max + 1 + config::header_edits_max + config::cors_fields_max>
      added_fields_;
  core::NameNote dropped_field_;
  int64_t date_second_ = -1;
  std::array<char, 32> date_{};
};

}  // namespace sluice::proxy
