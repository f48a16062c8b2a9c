// A channel whose bytes are encrypted: what comes is opened where its owner wants it, and what
// leaves is sealed into memory that is held until it has left.
#include <array>
#include <cstring>
#include <utility>

#include "proxy/channel.h"

namespace sluice::proxy {

namespace {

using Kind = ChannelEvent::Kind;
using Phase = ChannelTls::Stage;
using Wanted = ChannelTls::Wanted;

// After such a pause what leaves begins with small records again.
constexpr core::Duration flight_pause = std::chrono::seconds{1};

// What the protocol itself has to say while bytes are read: an alert, an answer to a new key.
using ReplyRoom = std::array<std::byte, tls::wire_room_min>;

}  // namespace

// --- in --------------------------------------------------------------------------------------

void Channel::want(Station& station, Wanted wanted, std::span<std::byte> into) {
  tls_->wanted = wanted;
  tls_->into = into;
  if (tls_->session->has_plaintext() || tls_->session->state() != tls::State::established)
    queue_turn(station, Turn::here_already);
  else
    wait_readable(station);
}

ChannelEvent Channel::on_readable_secured(Station& station) {
  switch (tls_->stage) {
    case Phase::hello:
    case Phase::handshake: queue_turn(station, Turn::handshake); return {};
    case Phase::connecting: return {};
    case Phase::open: break;
  }
  // Left over from a receive that was given up, or it waits for a buffer.
  if (tls_->wanted == Wanted::nothing || tls_->is_cancelled || is_starved()) return {};
  return read_secured(station);
}

ChannelEvent Channel::read_secured(Station& station) {
  ChannelTls& tls = *tls_;
  ChannelEvent event;
  std::span<std::byte> area = tls.into;
  if (tls.wanted == Wanted::pooled) {
    event.buffer = station.buffers(group()).take();
    if (!event.buffer.is_held()) {
      park(station);
      return {};
    }
    area = event.buffer.receive_area();
  }
  ReplyRoom reply;
  core::Error error = core::Error::none;
  bool is_fin = false;
  for (;;) {
    std::span<const std::byte> came;
    // What is here already comes before what the socket has.
    if (!tls.session->has_plaintext() && tls.session->state() == tls::State::established) {
      const size_t most = std::min(tls.session->appetite(area.size()), station.wire.size());
      const auto got = station.kernel.receive_now(socket_, std::span{station.wire}.first(most));
      error = got.error();
      is_fin = got && got.value() == 0;
      unread_ = got && got.value() == most;
      if (!got || is_fin) break;
      came = std::span{station.wire}.first(got.value());
    }
    tls::Wire wire{came, reply};
    const tls::Step step = tls.session->read(wire, area);
    event.size = static_cast<uint32_t>(step.bytes);
    const std::span<const std::byte> written{reply.data(), reply.size() - wire.out.size()};
    if (!written.empty() && add_sealed(station, written))
      static_cast<void>(send_secured(station, outbox_));
    if (event.size > 0 || tls.session->state() != tls::State::established) break;
  }
  if (event.size > 0) {
    event.kind = Kind::bytes;
    unread_ = unread_ || tls.session->has_plaintext();
    tls.wanted = Wanted::nothing;
    return event;
  }
  if (event.buffer.is_held()) station.buffers(group()).give_back(event.buffer);
  if (error != core::Error::none && is_wait(error)) {
    wait_readable(station);
    return {};
  }
  tls.wanted = Wanted::nothing;
  if (is_fin) return tell_end(station, tls.session->end_of_input() ? End::said : End::unsaid);
  if (tls.session->state() == tls::State::closed) return tell_end(station, End::said);
  if (tls.session->state() == tls::State::failed)
    station.counters.tls[static_cast<size_t>(side_)].broken.add();
  return {.kind = Kind::broken, .error = error == core::Error::none ? core::Error::reset : error};
}

// Requests say where they end; an answer may end with its connection, and then only a client that
// was told so knows that it is whole.
ChannelEvent Channel::tell_end(Station& station, End end) {
  if (end == End::unsaid) station.counters.tls[static_cast<size_t>(side_)].truncated.add();
  if (end == End::unsaid && side_ == Side::upstream)
    return {.kind = Kind::broken, .error = core::Error::reset};
  return {.kind = Kind::end};
}

// --- out -------------------------------------------------------------------------------------

SendProgress Channel::send_secured(Station& station, Outbox* outbox) {
  if (in_flight_.has(Op::send)) {
    if (outbox != nullptr) outbox_ = outbox;
    return SendProgress::waiting;
  }
  for (;;) {
    const SendProgress flushed = flush_sealed(station);
    if (flushed == SendProgress::waiting) outbox_ = outbox;
    if (flushed != SendProgress::done) return flushed;
    if (outbox == nullptr || outbox->empty()) break;
    if (!seal_all(station, *outbox)) return SendProgress::broken;
  }
  if (std::exchange(tls_->ends_output, false)) station.kernel.shutdown_write(socket_);
  return SendProgress::done;
}

bool Channel::seal_all(Station& station, Outbox& outbox) {
  ChannelTls& tls = *tls_;
  tls.sealed = station.sealed_buffers.take();
  if (!tls.sealed.is_held()) return false;
  if (station.now() - tls.flight_at > flight_pause) tls.session->begin_flight();
  tls.flight_at = station.now();
  const auto area = tls.sealed.whole_area();
  tls::Wire wire{{}, area};
  tls::Progress progress = tls::Progress::done;
  while (!outbox.empty() && progress == tls::Progress::done) {
    const tls::Step step = tls.session->write(wire, outbox.front());
    if (step.bytes > 0) outbox.advance(step.bytes);
    tls.sealed_plaintext += static_cast<uint32_t>(step.bytes);
    progress = step.progress;
  }
  tls.sealed_end = static_cast<uint32_t>(area.size() - wire.out.size());
  return progress == tls::Progress::done ||
         (progress == tls::Progress::needs_room && tls.sealed_end > 0);
}

bool Channel::add_sealed(Station& station, std::span<const std::byte> ciphertext) {
  ChannelTls& tls = *tls_;
  if (!tls.sealed.is_held()) tls.sealed = station.sealed_buffers.take();
  if (!tls.sealed.is_held()) return false;
  const auto room = tls.sealed.whole_area().subspan(tls.sealed_end);
  if (ciphertext.size() > room.size()) return false;
  std::memcpy(room.data(), ciphertext.data(), ciphertext.size());
  tls.sealed_end += static_cast<uint32_t>(ciphertext.size());
  return true;
}

SendProgress Channel::flush_sealed(Station& station) {
  ChannelTls& tls = *tls_;
  while (tls.sealed_begin < tls.sealed_end) {
    const std::span<const std::byte> rest =
        tls.sealed.whole_area().subspan(tls.sealed_begin, tls.sealed_end - tls.sealed_begin);
    if (station.batch_is_small()) {
      const auto sent = station.kernel.send_now(socket_, rest, core::Continuation::none);
      if (!sent && !is_wait(sent.error())) return SendProgress::broken;
      if (sent) {
        note_left(sent.value());
        continue;
      }
    }
    in_flight_.begin(Op::send);
    station.kernel.send(token(Op::send), socket_, rest, core::Continuation::none);
    return SendProgress::waiting;
  }
  if (tls.sealed.is_held()) station.sealed_buffers.give_back(tls.sealed);
  tls.sealed_begin = tls.sealed_end = 0;
  return SendProgress::done;
}

// With its first byte a record may be what makes a request: all that was sealed counts as sent.
void Channel::note_left(size_t bytes) {
  if (bytes == 0) return;
  tls_->sealed_begin += static_cast<uint32_t>(bytes);
  bytes_sent_ += std::exchange(tls_->sealed_plaintext, 0);
}

ChannelEvent Channel::on_sent_secured(Station& station, const core::Completion& completion) {
  Outbox* outbox = std::exchange(outbox_, nullptr);
  note_left(static_cast<size_t>(completion.result));
  if (is_closing_) {
    settle(station);
    return {};
  }
  const SendProgress progress =
      completion.error == core::Error::none ? send_secured(station, outbox) : SendProgress::broken;
  if (tls_->stage != Phase::open)
    return progress == SendProgress::broken ? fail_handshake(station, tls::Failure::truncated)
                                            : ChannelEvent{};
  if (outbox == nullptr) return {};  // if it broke, whoever sends or receives next will hear
  switch (progress) {
    case SendProgress::done: return {.kind = Kind::sent};
    case SendProgress::waiting: return {.kind = Kind::sending};
    case SendProgress::broken: return {.kind = Kind::unsent};
  }
  SLUICE_UNREACHABLE();
}

// --- the end ---------------------------------------------------------------------------------

void Channel::say_end(Station& station) {
  if (tls_->stage != Phase::open) return;
  ReplyRoom reply;
  tls::Wire wire{{}, reply};
  tls_->session->close(wire);
  const std::span<const std::byte> written{reply.data(), reply.size() - wire.out.size()};
  if (!written.empty()) static_cast<void>(add_sealed(station, written));
}

void Channel::begin_close_tls(Station& station, Ending ending) {
  ChannelTls& tls = *tls_;
  // Not behind what is half sent: that is to be seen as cut.
  if (ending == Ending::fin && !in_flight_.has(Op::send) && tls.sealed_begin == tls.sealed_end) {
    say_end(station);
    if (tls.sealed.is_held())
      static_cast<void>(station.kernel.send_now(
          socket_, tls.sealed.whole_area().first(tls.sealed_end), core::Continuation::none));
  }
  if (tls.session != nullptr && tls.stage == Phase::open) {
    TlsCounters& counters = station.counters.tls[static_cast<size_t>(side_)];
    counters.alerts_sent.add(tls.session->alerts_sent());
    counters.alerts_received.add(tls.session->alerts_received());
  }
  tls.wanted = Wanted::nothing;
  if (tls.core::ListNode<TlsTurnTag>::is_linked())
    core::IntrusiveList<ChannelTls, TlsTurnTag>::remove(tls);
  leave_handshake(station);
}

void Channel::drop_tls(Station& station) {
  if (tls_->sealed.is_held()) station.sealed_buffers.give_back(tls_->sealed);
  if (tls_->first.is_held()) station.sealed_buffers.give_back(tls_->first);
  station.tls_states.release(*std::exchange(tls_, nullptr));
}

}  // namespace sluice::proxy
