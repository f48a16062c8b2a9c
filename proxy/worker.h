// One core: its station, its machines, and the dispatch of what happens to them. Shares nothing
// with other workers but mailboxes; has no thread of its own and no state outside itself, so that a
// test runs several of them by turns.
//
// It alone knows all machines. They call downwards only; what one of them has to say to the one
// above it comes back as an event, and goes on from here. What one has to do for another waits in a
// list of the station until none runs. No machine is gone before the end of the batch.
#pragma once

#include <array>
#include <cstdint>

#include "core/slab.h"
#include "proxy/acceptor.h"
#include "proxy/core_generation.h"
#include "proxy/downstream_connection.h"
#include "proxy/exchange/exchange.h"
#include "proxy/http2_connection.h"
#include "proxy/station.h"
#include "proxy/upstream/core_upstream.h"
#include "proxy/upstream/upstream_connection.h"

namespace sluice::proxy {

class Worker {
 public:
  explicit Worker(const WorkerOptions& options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Why the worker can't run, or Error::none. Before the first turn.
  [[nodiscard]] core::Error prepare();
  void turn() { station_.loop.turn(*this); }
  [[nodiscard]] core::Duration begin_turn() { return station_.loop.begin_turn(*this); }
  void finish_turn(core::Duration timeout) { station_.loop.finish_turn(*this, timeout); }
  // After a turn: once the last client has gone over to another process, nothing that is kept
  // towards endpoints will be asked again.
  void finish_yield();
  // Nothing is open, nothing in flight; but other workers may still ask about keys that this one
  // owns.
  [[nodiscard]] bool is_drained() const;
  // Told to stop. No turn follows.
  [[nodiscard]] bool is_stopped() const { return station_.stage == Stage::stopped; }

  // --- what others read, from any thread -----------------------------------------------------
  [[nodiscard]] uint32_t index() const { return station_.index; }
  [[nodiscard]] const Counters& counters() const { return station_.counters; }
  [[nodiscard]] const limiter::Shard& shard() const { return station_.shard; }
  [[nodiscard]] const core::PipePool& pipes() const { return station_.pipes; }
  [[nodiscard]] core::NameNote& dropped_field() { return station_.dropped_field; }
  [[nodiscard]] const core::EngineCounters& engine_counters() const {
    return station_.kernel.counters();
  }

  // --- the loop's handler --------------------------------------------------------------------
  void on_completion(const core::Completion& completion);
  void on_message(core::Message& message);
  void on_timer(core::Timer& timer);
  void before_wait();
  void after_batch();

  // --- for tests -----------------------------------------------------------------------------
  [[nodiscard]] Station& station() { return station_; }
  [[nodiscard]] core::Slab<Exchange>& exchanges() { return exchanges_; }
  [[nodiscard]] uint32_t downstreams_taken() const { return downstreams_.taken(); }
  [[nodiscard]] uint32_t upstreams_taken() const { return upstreams_.taken(); }
  [[nodiscard]] uint32_t exchanges_taken() const { return exchanges_.taken(); }

 private:
  // worker.cpp
  void complete(const core::Completion& completion);
  void deliver(DownstreamConnection& connection, const DownstreamEvent& event);
  void begin_exchange(DownstreamConnection& connection, const DownstreamEvent& event);
  void deliver(UpstreamConnection& connection, const ChannelEvent& event);
  // After each event: what it left for others.
  void follow_up() {
    if (station_.heads_to_shed != 0 || !station_.handed_over.empty()) follow_up_all();
  }
  void follow_up_all();
  void close_settled();
  void release_ended();
  void feed_starved(Side side);
  void ring_doorbells();
  void run_ready();
  void serve_multiplexed();
  void tell_streams(DownstreamConnection& owner, Http2Connection& connection);
  void begin_stream(DownstreamConnection& owner, Http2Connection& connection,
                    http::h2::Stream& stream);
  void close_http2(DownstreamConnection& owner);
  void run_tls_turns();

  // worker_adopt.cpp
  void on_keys(const KeysMessage& message);
  void adopt(AdoptMessage& message);
  void adopt_limits();
  void serve_hungry();
  void serve_waiting(CoreUpstream& upstream);

  // worker_accept.cpp
  void open_acceptors(AdoptMessage& message);
  void on_accept(Acceptor& acceptor, const core::Completion& completion);
  void admit_socket(const Acceptor& acceptor, int socket);
  void make_room(Acceptor& acceptor);
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
  [[nodiscard]] uint32_t connections_max() const { return station_.config().bounds.connections; }

  core::Slab<DownstreamConnection> downstreams_;
  core::Slab<UpstreamConnection> upstreams_;
  core::Slab<Exchange> exchanges_;
  core::Slab<Http2Connection> http2_connections_;
  Station station_;
  std::array<Acceptor, acceptors_max> acceptors_;
  size_t acceptors_used_ = 0;  // those from here on were never used
};

}  // namespace sluice::proxy
