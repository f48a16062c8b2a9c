// How a channel comes to be encrypted. A handshake costs as much as many requests: each step waits
// for its turn, and a turn has few of them.
#include <cstring>
#include <utility>

#include "proxy/channel.h"
#include "tls/hello.h"

namespace sluice::proxy {

namespace {

using Kind = ChannelEvent::Kind;
using Phase = ChannelTls::Stage;
using Wanted = ChannelTls::Wanted;

constexpr std::string_view plain_answer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 73\r\nConnection: close\r\n\r\n"
    "This port speaks TLS, and the request came without it. Write https://...\n";

}  // namespace

// --- the beginning ---------------------------------------------------------------------------

bool Channel::take_tls(Station& station) {
  tls_ = station.tls_states.take();
  if (tls_ == nullptr) return false;
  tls_->channel = this;
  station.handshakes.push_back(*tls_);
  station.counters.tls_handshaking.add();
  if (station.counters.tls_handshaking.get() > station.config().bounds.handshakes())
    station.handshakes.front()->channel->shed_handshake(station);
  return true;
}

bool Channel::secure(Station& station, tls::ServerContext& context, CoreGeneration& generation,
                     std::span<const std::byte> ahead) {
  if (ahead.size() > tls::hello_bytes_max || !take_tls(station)) return false;
  if (!ahead.empty()) tls_->first = station.sealed_buffers.take();
  if (!ahead.empty() && !tls_->first.is_held()) return false;
  tls_->server = &context;
  tls_->generation = &generation;
  if (ahead.empty()) {
    wait_readable(station);
    return true;
  }
  std::memcpy(tls_->first.receive_area().data(), ahead.data(), ahead.size());
  tls_->first_size = static_cast<uint32_t>(ahead.size());
  queue_turn(station, Turn::handshake);
  return true;
}

bool Channel::secure(Station& station, tls::ClientContext& context, const tls::PeerName& peer,
                     SSL_SESSION* ticket) {
  if (!take_tls(station)) return false;
  tls_->stage = Phase::connecting;
  tls_->session = tls::Session::connect(context, peer, ticket);
  return tls_->session != nullptr;
}

void Channel::queue_turn(Station& station, Turn turn) {
  if (tls_->core::ListNode<TlsTurnTag>::is_linked()) return;
  (turn == Turn::handshake ? station.handshake_turns : station.here_already).push_back(*tls_);
}

void Channel::shed_handshake(Station& station) {
  tls_->is_shed = true;
  queue_turn(station, Turn::here_already);
}

void Channel::leave_handshake(Station& station) {
  if (!tls_->core::ListNode<HandshakeTag>::is_linked()) return;
  core::IntrusiveList<ChannelTls, HandshakeTag>::remove(*tls_);
  station.counters.tls_handshaking.subtract();
}

ChannelEvent Channel::on_turn(Station& station) {
  if (is_closing_) return {};
  if (tls_->is_shed && tls_->stage != Phase::open)
    return fail_handshake(station, tls::Failure::crowded_out);
  switch (tls_->stage) {
    case Phase::hello: return on_hello(station);
    case Phase::handshake: return go_on_shaking(station);
    case Phase::connecting: return {};
    case Phase::open: break;
  }
  if (std::exchange(tls_->is_cancelled, false)) {
    tls_->wanted = Wanted::nothing;
    return {.kind = Kind::broken, .error = core::Error::cancelled};
  }
  return tls_->wanted == Wanted::nothing ? ChannelEvent{} : read_secured(station);
}

// --- the handshake ---------------------------------------------------------------------------

ChannelEvent Channel::on_hello(Station& station) {
  ChannelTls& tls = *tls_;
  const auto kept = [&] { return tls.first.receive_area().first(tls.first_size); };
  std::span<const std::byte> bytes;
  if (tls.first.is_held()) bytes = kept();
  tls::HelloState state = tls::examine_hello(bytes);
  if (state == tls::HelloState::incomplete) {
    const auto got = station.kernel.receive_now(
        socket_, std::span{station.wire}.first(tls::hello_bytes_max - tls.first_size + 1));
    if (!got && is_wait(got.error())) {
      wait_readable(station);
      return {};
    }
    if (!got || got.value() == 0) return fail_handshake(station, tls::Failure::truncated);
    bytes = std::span{station.wire}.first(got.value());
    if (tls.first.is_held()) {
      std::memcpy(tls.first.receive_area().data() + tls.first_size, bytes.data(), bytes.size());
      tls.first_size += static_cast<uint32_t>(bytes.size());
      bytes = kept();
    }
    state = tls::examine_hello(bytes);
  }
  switch (state) {
    case tls::HelloState::whole: break;
    case tls::HelloState::plain_http: return refuse_plain(station);
    case tls::HelloState::foreign: return fail_handshake(station, tls::Failure::malformed);
    case tls::HelloState::too_long: return fail_handshake(station, tls::Failure::too_long);
    case tls::HelloState::incomplete:
      if (!tls.first.is_held()) {
        tls.first = station.sealed_buffers.take();
        if (!tls.first.is_held()) return fail_handshake(station, tls::Failure::crowded_out);
        std::memcpy(tls.first.receive_area().data(), bytes.data(), bytes.size());
        tls.first_size = static_cast<uint32_t>(bytes.size());
      }
      wait_readable(station);
      return {};
  }
  tls.session = tls::Session::accept(*tls.server);
  if (tls.session == nullptr) return fail_handshake(station, tls::Failure::internal);
  tls.stage = Phase::handshake;
  ChannelEvent event = shake_hands(station, bytes);
  if (tls.first.is_held()) station.sealed_buffers.give_back(tls.first);
  if (event.kind == Kind::none) wait_readable(station);
  return event;
}

// The socket has been heard of: record by record, so that nothing of what follows is taken.
ChannelEvent Channel::go_on_shaking(Station& station) {
  for (;;) {
    const size_t most = std::min(tls_->session->appetite(0), station.wire.size());
    const auto got = station.kernel.receive_now(socket_, std::span{station.wire}.first(most));
    if (!got && is_wait(got.error())) {
      wait_readable(station);
      return {};
    }
    if (!got || got.value() == 0) return fail_handshake(station, tls::Failure::truncated);
    const ChannelEvent event = shake_hands(station, std::span{station.wire}.first(got.value()));
    if (event.kind != Kind::none) return event;
  }
}

ChannelEvent Channel::shake_hands(Station& station, std::span<const std::byte> bytes) {
  ChannelTls& tls = *tls_;
  tls.session->library().set_time(station.kernel.wall_now());
  if (!tls.sealed.is_held()) tls.sealed = station.sealed_buffers.take();
  if (!tls.sealed.is_held()) return fail_handshake(station, tls::Failure::crowded_out);
  const auto area = tls.sealed.whole_area();
  tls::Wire wire{bytes, area.subspan(tls.sealed_end)};
  const tls::Step step = tls.session->handshake(wire);
  tls.sealed_end = static_cast<uint32_t>(area.size() - wire.out.size());
  switch (step.progress) {
    case tls::Progress::done: return end_handshake(station);
    case tls::Progress::needs_bytes: break;
    case tls::Progress::needs_room: return fail_handshake(station, tls::Failure::internal);
    case tls::Progress::closed:
    case tls::Progress::failed: return fail_handshake(station, tls.session->failure());
  }
  if (send_secured(station, nullptr) == SendProgress::broken)
    return fail_handshake(station, tls::Failure::truncated);
  return {};
}

ChannelEvent Channel::end_handshake(Station& station) {
  ChannelTls& tls = *tls_;
  tls.stage = Phase::open;
  leave_handshake(station);
  TlsCounters& counters = station.counters.tls[static_cast<size_t>(side_)];
  const bool is_13 = tls.session->version() == "TLSv1.3";
  (is_13 ? counters.handshakes_13 : counters.handshakes_12).add();
  if (tls.session->was_resumed()) counters.resumed.add();
  if (send_secured(station, nullptr) == SendProgress::broken)
    return {.kind = side_ == Side::upstream ? Kind::refused : Kind::broken,
            .error = core::Error::reset};
  return {.kind = Kind::connected};
}

ChannelEvent Channel::fail_handshake(Station& station, tls::Failure failure) {
  TlsCounters& counters = station.counters.tls[static_cast<size_t>(side_)];
  counters.failures[static_cast<size_t>(failure)].add();
  if (tls_->session != nullptr) {
    counters.alerts_sent.add(tls_->session->alerts_sent());
    counters.alerts_received.add(tls_->session->alerts_received());
    static_cast<void>(send_secured(station, nullptr));  // the alert, if there is one
  }
  return {.kind = side_ == Side::upstream ? Kind::refused : Kind::broken,
          .error = core::Error::reset,
          .tls = failure};
}

// Readable by whoever forgot the "s". What it sent must have been taken, or closing would reset the
// connection and the answer with it.
ChannelEvent Channel::refuse_plain(Station& station) {
  static_cast<void>(
      station.kernel.send_now(socket_, bytes_of(plain_answer), core::Continuation::none));
  station.kernel.shutdown_write(socket_);
  static_cast<void>(station.kernel.receive_now(socket_, station.wire));
  return fail_handshake(station, tls::Failure::plain_request);
}

}  // namespace sluice::proxy
