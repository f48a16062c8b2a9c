// What one core lends its machines: the kernel, time, counters, memory, chance, bounds, how far the
// worker's life is, and lists of work that is done when no machine runs. Plain data with the
// services that need only it. It knows no machine: machines know it, and the worker knows both.
//
// Owned by its worker, used by that worker's thread alone; what others read is said below.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "auth/authenticator.h"
#include "config/config.h"
#include "core/buffer_pool.h"
#include "core/intrusive_list.h"
#include "core/kernel.h"
#include "core/loop.h"
#include "core/name_note.h"
#include "core/pipe_pool.h"
#include "core/random.h"
#include "core/slab.h"
#include "http/h2/context.h"
#include "http/serializer.h"
#include "limiter/owner.h"
#include "limiter/shard.h"
#include "metrics/access_log.h"
#include "metrics/log_ring.h"
#include "proxy/channel_tls.h"
#include "proxy/counters.h"
#include "proxy/labels.h"
#include "proxy/message.h"
#include "proxy/offload_queue.h"
#include "proxy/operation.h"
#include "proxy/secrets.h"
#include "proxy/share_table.h"

namespace sluice::metrics {
class LogWriter;
}

namespace sluice::proxy {

class Channel;
class CoreUpstream;
class DownstreamConnection;
class UpstreamConnection;
class Exchange;
struct ClientWaiter;
struct ConnectionRequest;
struct EndedTag;
struct HungryTag;
struct IdleTag;
struct IdleAgeTag;
struct ReadyTag;
struct ChannelTag;
class Http2Connection;
struct MultiplexTag;
struct ClientWaitTag;
struct WaitingTag;

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

// How far the worker's life is.
enum class Stage : uint8_t {
  serving,
  announcing,  // all is as before, but /health says no
  yielding,    // nothing new is let in; who is here is told to come anew with the next answer
  draining,    // what is in flight is finished, nothing new is let in
  stopped,     // no turn follows
};

struct Station {
  Station(const WorkerOptions& options, const config::Config& config, uint32_t connections_max,
          core::Slab<UpstreamConnection>& upstreams,
          core::Slab<Http2Connection>& http2_connections);
  Station(const Station&) = delete;
  Station& operator=(const Station&) = delete;

  // --- what it is ----------------------------------------------------------------------------
  const uint32_t index;
  core::Kernel& kernel;
  const Labels& labels;
  const std::vector<Peer> peers;
  core::Slab<UpstreamConnection>& upstream_slots;
  core::Slab<Http2Connection>& http2_slots;
  OffloadQueue* const offload;
  metrics::LogRing* const log_ring;
  metrics::LogWriter* const log_writer;

  // --- what changes with the configuration ---------------------------------------------------
  CoreGeneration* generation;           // what new exchanges begin with
  const config::Config* configuration;  // its, the newest
  Stage stage = Stage::serving;

  // --- what machines draw from ---------------------------------------------------------------
  core::Loop loop;
  core::Random random;     // of choices that nothing is to be kept from
  core::SecretRandom ids;  // of what leaves the process
  core::BufferPool request_buffers;
  core::BufferPool response_buffers;
  core::PipePool pipes;
  core::Slab<ChannelTls> tls_states;  // of channels that speak TLS
  core::BufferPool sealed_buffers;    // ciphertext that leaves, and hellos that are not whole
  std::vector<std::byte> wire;        // ciphertext that came, within a call
  http::h2::Context http2;
  const limiter::Ownership ownership;
  limiter::Shard shard;     // read by others, too
  limiter::Shard failures;  // of this core alone
  Counters counters;        // read by others, too
  ShareTable addresses;
  ShareTable held;  // by the key of a limit
  uint32_t hold_places_taken = 0;
  uint32_t unanswered = 0;  // requests whose answer is not sent yet, and none of our own
  metrics::LineFormatter formatter;
  // Memory for the fields that a head gets, until the head is written.
  std::array<http::AddedField,
             auth::claims_max + 1 + config::header_edits_max + config::cors_fields_max>
      added_fields;
  core::NameNote dropped_field;  // for its name; the control thread says so
  core::Instant refusal_logged_at{};
  int64_t date_second = -1;
  std::array<char, 32> date{};

  // --- work, for when no machine runs --------------------------------------------------------
  // After each event.
  core::IntrusiveList<ConnectionRequest, WaitingTag> handed_over;  // may use what became free
  uint32_t heads_to_shed = 0;                                      // of `gathering`
  // At the end of a batch.
  core::IntrusiveList<ChannelTls, TlsTurnTag> handshake_turns;  // a few each time: they are costly
  core::IntrusiveList<ChannelTls, TlsTurnTag> here_already;     // what somebody waits for
  std::array<core::IntrusiveList<Channel, ChannelTag>, 2> settled;  // by Side; closed then
  std::array<core::IntrusiveList<Channel, ChannelTag>, 2> starved;  // by Side; wait for a buffer
  core::IntrusiveList<Exchange, EndedTag> ended;                    // freed then
  core::IntrusiveList<CoreUpstream, HungryTag> hungry;              // have somebody who waits
  core::IntrusiveList<Http2Connection, MultiplexTag> multiplexed;   // something to tell or send
  core::IntrusiveList<DownstreamConnection, ReadyTag> ready;        // the next request is here
  std::vector<bool> doorbells;                                      // of peers that were posted to
  bool has_posted = false;                                          // to one of them

  // --- who can make room ---------------------------------------------------------------------
  core::IntrusiveList<UpstreamConnection, IdleAgeTag> idle_upstreams;  // longest idle last
  core::IntrusiveList<DownstreamConnection, IdleTag> idle;             // longest idle first
  core::IntrusiveList<DownstreamConnection, IdleTag> gathering;        // half heads, oldest first
  core::IntrusiveList<ChannelTls, HandshakeTag> handshakes;            // under way, oldest first
  core::IntrusiveList<ClientWaiter, ClientWaitTag> answered;           // discarding; longest first
  core::IntrusiveList<ClientWaiter, ClientWaitTag> stalled;            // others; longest first

  [[nodiscard]] const config::Config& config() const { return *configuration; }
  [[nodiscard]] core::TimerWheel& wheel() { return loop.wheel(); }
  [[nodiscard]] core::Instant now() const { return loop.now(); }
  [[nodiscard]] auth::EpochSeconds epoch_seconds() const {
    return std::chrono::floor<std::chrono::seconds>(kernel.wall_now());
  }
  [[nodiscard]] bool batch_is_small() const { return loop.batch_is_small(); }
  [[nodiscard]] core::BufferPool& buffers(core::BufferGroup group) {
    return group == core::BufferGroup::downstream ? request_buffers : response_buffers;
  }
  [[nodiscard]] bool is_draining() const {
    return stage != Stage::serving && stage != Stage::announcing;
  }
  [[nodiscard]] bool is_yielding() const { return stage == Stage::yielding; }
  // Draining, or about to: whoever asks for /health shall look elsewhere.
  [[nodiscard]] bool is_leaving() const { return stage != Stage::serving; }
  // All places are taken: only what Sluice answers itself is served.
  [[nodiscard]] bool is_overloaded() const { return unanswered > config().bounds.exchanges; }

  // --- other threads -------------------------------------------------------------------------
  void post(uint32_t owner, ExchangeMessage& message);
  [[nodiscard]] bool submit(ExchangeMessage& job);
  // Others may have what somebody here waits for, or wait for what was given up here. Rung whether
  // they sleep or not: who is just about to must hear it too.
  void wake_others();

  // --- limits --------------------------------------------------------------------------------
  // Answers for keys that this core owns.
  void answer(LimitVisit& visit);
  // Wrong tokens of this address: whether there were too many, and one more.
  [[nodiscard]] limiter::Verdict judge_failures(const core::SocketAddress& client) {
    return visit_failures(client, limiter::Visit::probe);
  }
  void note_failure(const core::SocketAddress& client) {
    static_cast<void>(visit_failures(client, limiter::Visit::decide));
  }
  [[nodiscard]] limiter::Verdict visit_failures(const core::SocketAddress& client,
                                                limiter::Visit visit);

  // --- what leaves ---------------------------------------------------------------------------
  void log(const metrics::AccessRecord& record);
  void make_request_id(std::array<char, 32>& out);
  void make_traceparent(std::array<char, traceparent_bytes>& out);
  [[nodiscard]] std::string_view http_date();
};

}  // namespace sluice::proxy
