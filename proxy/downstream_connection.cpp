// A client's connection from accept to close, between its requests.
#include "proxy/downstream_connection.h"

#include <algorithm>
#include <utility>

#include "proxy/client_address.h"
#include "proxy/core_generation.h"
#include "proxy/http2_connection.h"
#include "proxy/room.h"

namespace sluice::proxy {

namespace {
// A client that goes on sending is heard out for so many times Timeouts::linger at most.
constexpr int linger_periods_max = 5;
// When a drain begins, a connection that has asked nothing yet has so long for its first request.
constexpr core::Duration newcomer_grace = std::chrono::seconds{1};
}  // namespace

std::string_view to_string(DownstreamConnection::State state) {
  using State = DownstreamConnection::State;
  switch (state) {
    case State::awaiting_proxy_header: return "awaiting_proxy_header";
    case State::securing: return "securing";
    case State::idle: return "idle";
    case State::gathering: return "gathering";
    case State::ready: return "ready";
    case State::exchanging: return "exchanging";
    case State::multiplexing: return "multiplexing";
    case State::lingering: return "lingering";
    case State::closing: return "closing";
  }
  SLUICE_UNREACHABLE();
}

void DownstreamConnection::open(Station& station, core::Token timer, const Origin& origin) {
  channel_.open(Side::downstream, origin.socket, timer);
  address_ = origin.address;
  share_ = origin.share;
  may_speak_http2_ = origin.listener->h2c;
  timer_.bind(timer);
  station.counters.connections_open.add();
  listener_ = origin.listener->id;
  if (origin.listener->proxy_protocol != config::ProxyProtocol::required) {
    begin_talking(station, {});
    return;
  }
  state_ = State::awaiting_proxy_header;
  if (!is_trusted(station.config(), address_)) {
    refuse_proxy_header(station);
    return;
  }
  expect_within(station, station.config().timeouts.head);
  channel_.receive_pooled(station, core::Readiness::expected);
}

const config::ListenerConfig* DownstreamConnection::listener(const config::Config& config) const {
  const auto found =
      std::find_if(config.listeners.begin(), config.listeners.end(),
                   [&](const config::ListenerConfig& one) { return one.id == listener_; });
  return found == config.listeners.end() ? nullptr : &*found;
}

// In the clear, or after a handshake. A client that connects has something to say.
void DownstreamConnection::begin_talking(Station& station, std::span<const std::byte> ahead) {
  tls::ServerContext* context = station.generation->server_context(listener_);
  if (context == nullptr) {
    become_idle(station);
    channel_.receive_pooled(station, core::Readiness::expected);
    return;
  }
  state_ = State::securing;
  since_ = station.now();
  expect_within(station, station.config().timeouts.head);
  if (channel_.secure(station, *context, *station.generation, ahead))
    station.generation->use();
  else
    fail_securing(station, tls::Failure::crowded_out);
}

void DownstreamConnection::leave_securing() {
  if (CoreGeneration* generation = channel_.take_generation()) generation->release();
}

void DownstreamConnection::fail_securing(Station& station, tls::Failure failure) {
  log_failed_handshake(station, address_, failure);
  begin_close(station);
}

// --- events ----------------------------------------------------------------------------------

DownstreamEvent DownstreamConnection::on_completion(Station& station, Channel::Op op,
                                                    const core::Completion& completion) {
  return on_channel(station, channel_.on_completion(station, op, completion));
}

DownstreamEvent DownstreamConnection::on_turn(Station& station) {
  return on_channel(station, channel_.on_turn(station));
}

DownstreamEvent DownstreamConnection::on_channel(Station& station, const ChannelEvent& event) {
  using Heard = ChannelEvent::Kind;
  using Kind = DownstreamEvent::Kind;
  if (event.kind == Heard::none) return {};
  if (state_ == State::multiplexing) return on_multiplexed(station, event);
  if (event.kind == Heard::bytes) return on_bytes(station, event);
  if (event.kind == Heard::end || event.kind == Heard::broken) return on_no_bytes(station, event);
  if (event.kind == Heard::connected) {
    leave_securing();
    const bool is_http2 = channel_.session()->protocol() == "h2";
    may_speak_http2_ = is_http2 ? config::Http2::on : config::Http2::off;
    become_idle(station);
    channel_.receive_pooled(station, core::Readiness::expected);
    return {};
  }
  // Of an exchange before this one, or a hangup: bytes may lie before the FIN, and the receive that
  // is armed, or the request that is ready, will come to it.
  if (state_ != State::exchanging) return {};
  switch (event.kind) {
    case Heard::sent: return {.kind = Kind::sent};
    case Heard::unsent: return {.kind = Kind::closed};
    case Heard::hangup: return {.kind = Kind::hangup};
    case Heard::readable: return {.kind = Kind::readable};
    case Heard::writable: return {.kind = Kind::writable};
    case Heard::sending:
      expect_within(station, station.config().timeouts.write);
      return {.kind = Kind::sending};
    default: SLUICE_UNREACHABLE();
  }
}

DownstreamEvent DownstreamConnection::on_bytes(Station& station, const ChannelEvent& event) {
  switch (state_) {
    case State::exchanging: return {.kind = DownstreamEvent::Kind::bytes, .size = event.size};
    case State::idle:
      leave_idle(station);
      waiting_ = event.buffer;
      waiting_size_ = event.size;
      since_ = station.now();
      return begin_head(station);
    case State::gathering: waiting_size_ += event.size; return read_head(station);
    case State::awaiting_proxy_header:
      on_proxy_header_bytes(station, event.buffer, event.size);
      return {};
    case State::lingering:
      on_linger_bytes(station, waiting_.is_held() ? std::exchange(waiting_, {}) : event.buffer);
      return {};
    case State::multiplexing:
    case State::securing:
    case State::ready:
    case State::closing: break;
  }
  SLUICE_UNREACHABLE();
}

DownstreamEvent DownstreamConnection::on_no_bytes(Station& station, const ChannelEvent& event) {
  using Kind = DownstreamEvent::Kind;
  const bool is_end = event.kind == ChannelEvent::Kind::end;
  switch (state_) {
    case State::exchanging: return {.kind = is_end ? Kind::end : Kind::closed};
    case State::gathering: return refuse_head(station, Failure::downstream_closed);
    case State::securing: fail_securing(station, event.tls); return {};
    case State::lingering:
      if (waiting_.is_held()) {
        station.request_buffers.give_back(waiting_);
        // Only the receive into the exchange's buffer had to end.
        if (event.error == core::Error::cancelled) {
          channel_.receive_pooled(station, core::Readiness::unexpected);
          return {};
        }
      }
      break;
    default: break;
  }
  begin_close(station);
  return {};
}

DownstreamEvent DownstreamConnection::on_timer(Station& station) {
  switch (state_) {
    case State::exchanging: return {.kind = DownstreamEvent::Kind::timeout};
    case State::gathering: return refuse_head(station, Failure::head_timeout);
    case State::awaiting_proxy_header: refuse_proxy_header(station); break;
    case State::securing:
      station.counters.tls[0].failures[static_cast<size_t>(tls::Failure::timed_out)].add();
      fail_securing(station, tls::Failure::timed_out);
      break;
    case State::idle:
      // Bytes are here, and in all this time there was no buffer to read them into.
      if (channel_.is_starved()) station.counters.connections_shed.add();
      begin_close(station);
      break;
    case State::lingering: begin_close(station); break;
    case State::multiplexing: http2_->on_timer(station); break;
    case State::ready:
    case State::closing: break;
  }
  return {};
}

// --- waiting for a request -------------------------------------------------------------------

void DownstreamConnection::become_idle(Station& station) {
  state_ = State::idle;
  since_ = station.now();
  station.idle.push_back(*this);
  station.counters.connections_idle.add();
  expect_within(station, station.config().timeouts.idle);
}

void DownstreamConnection::leave_idle(Station& station) {
  core::IntrusiveList<DownstreamConnection, IdleTag>::remove(*this);
  station.counters.connections_idle.subtract();
}

// --- for the exchange ------------------------------------------------------------------------

Arrival DownstreamConnection::begin_exchange(Exchange& exchange, const DownstreamEvent& event) {
  state_ = State::exchanging;
  exchange_ = &exchange;
  ++requests_;
  return {.buffer = std::exchange(waiting_, {}),
          .size = waiting_size_,
          .since = since_,
          .head = event.head};
}

void DownstreamConnection::expect_within(Station& station, core::Duration timeout) {
  station.wheel().arm(timer_, station.now() + timeout);
}

SendProgress DownstreamConnection::send(Station& station, Outbox& outbox) {
  const SendProgress progress = channel_.send(station, outbox);
  if (progress == SendProgress::waiting) expect_within(station, station.config().timeouts.write);
  return progress;
}

void DownstreamConnection::wait_writable(Station& station) {
  expect_within(station, station.config().timeouts.write);
  channel_.wait_writable(station);
}

// --- afterwards ------------------------------------------------------------------------------

void DownstreamConnection::next(Station& station, core::Buffer buffer, uint32_t size) {
  exchange_ = nullptr;
  if (size > 0) {
    state_ = State::ready;
    since_ = station.now();
    waiting_ = buffer;
    waiting_size_ = size;
    station.ready.push_back(*this);
    return;
  }
  if (buffer.is_held()) station.request_buffers.give_back(buffer);
  become_idle(station);
  channel_.receive_pooled(station, core::Readiness::unexpected);
  if (station.is_draining()) on_drain(station);
}

// Closing while the client still sends would answer its bytes with a reset, and the reset would eat
// our answer.
void DownstreamConnection::begin_linger(Station& station, core::Buffer buffer) {
  exchange_ = nullptr;
  state_ = State::lingering;
  channel_.end_output(station);
  since_ = station.now();
  expect_within(station, station.config().timeouts.linger);
  if (channel_.is_receiving()) {
    waiting_ = buffer;
    channel_.cancel_receive(station);
  } else {
    station.request_buffers.give_back(buffer);
    channel_.receive_pooled(station, core::Readiness::unexpected);
  }
}

// By time and not by bytes: what the client had under way when it was answered may be megabytes.
void DownstreamConnection::on_linger_bytes(Station& station, core::Buffer buffer) {
  const core::Duration linger = station.config().timeouts.linger;
  station.request_buffers.give_back(buffer);
  station.wheel().arm(timer_,
                      std::min(station.now() + linger, since_ + linger_periods_max * linger));
  channel_.receive_pooled(station, core::Readiness::unexpected);
}

void DownstreamConnection::on_drain(Station& station) {
  if (state_ == State::multiplexing) http2_->on_drain(station);
  if (station.is_yielding()) return;
  if (state_ != State::idle && state_ != State::awaiting_proxy_header && state_ != State::securing)
    return;
  // A request that is here already is served; its answer says that the connection closes.
  const auto waiting = channel_.peek(station);
  if (waiting && waiting.value() > 0) return;
  if (requests_ == 0 && !waiting && waiting.error() == core::Error::would_block) {
    // It has only just come: what it wants is on its way, and nobody told it that it must ask
    // again.
    expect_within(station, newcomer_grace);
    return;
  }
  begin_close(station);
}

DownstreamEvent DownstreamConnection::on_cut(Station& station) {
  if (state_ == State::gathering) {
    station.counters.drain_cut.add();
    return refuse_head(station, Failure::drain);
  }
  // Streams have their own answers to give.
  const bool is_busy = state_ == State::multiplexing && !http2_->is_idle();
  if (state_ != State::exchanging && !is_busy) begin_close(station);
  return {};
}

void DownstreamConnection::begin_close(Station& station, Ending ending) {
  if (state_ == State::closing) return;
  if (core::ListNode<IdleTag>::is_linked() && state_ != State::gathering) leave_idle(station);
  if (http2_ != nullptr) http2_->on_close(station);
  if (state_ == State::gathering) leave_gathering(station);
  if (state_ == State::ready) {
    core::IntrusiveList<DownstreamConnection, ReadyTag>::remove(*this);
    station.request_buffers.give_back(waiting_);
  }
  state_ = State::closing;
  station.wheel().disarm(timer_);
  channel_.begin_close(station, ending);
  leave_securing();
}

void DownstreamConnection::finish_close(Station& station) {
  if (waiting_.is_held()) station.request_buffers.give_back(waiting_);
  channel_.finish_close(station);
  station.counters.connections_open.subtract();
  if (share_ != nullptr) disconnect_address(station, *share_);
}

}  // namespace sluice::proxy
