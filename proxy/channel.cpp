// Receives, sends, splices and closes one socket.
#include "proxy/channel.h"

namespace sluice::proxy {

void Channel::open(Side side, int socket, core::Token owner) {
  side_ = side;
  socket_ = socket;
  owner_ = owner;
}

void Channel::connect(Station& station, const core::Destination& destination) {
  in_flight_.begin(Op::connect);
  station.kernel.connect(token(Op::connect), socket_, destination);
}

// --- in --------------------------------------------------------------------------------------

void Channel::receive(Station& station, std::span<std::byte> into) {
  if (tls_ != nullptr) {
    want(station, ChannelTls::Wanted::memory, into);
    return;
  }
  in_flight_.begin(Op::receive);
  station.kernel.receive(token(Op::receive), socket_, into, core::Readiness::unexpected);
}

void Channel::receive_pooled(Station& station, core::Readiness readiness) {
  if (tls_ != nullptr) {
    want(station, ChannelTls::Wanted::pooled, {});
    return;
  }
  in_flight_.begin(Op::receive);
  station.kernel.receive_pooled(token(Op::receive), socket_, group(), readiness);
}

void Channel::cancel_receive(Station& station) {
  if (tls_ == nullptr) {
    station.kernel.cancel(token(Op::receive));
    return;
  }
  tls_->is_cancelled = true;
  queue_turn(station, Turn::here_already);
}

core::Result<size_t> Channel::splice_in(Station& station, const core::Pipe& pipe, size_t size) {
  return station.kernel.splice_now(socket_, pipe.write, size);
}

core::Result<size_t> Channel::peek(Station& station) { return station.kernel.peek(socket_); }

void Channel::look_for_unread_bytes(Station& station) {
  const auto waiting = peek(station);
  unread_ = waiting || waiting.error() != core::Error::would_block;
}

ChannelEvent Channel::on_receive(Station& station, const core::Completion& completion) {
  using Kind = ChannelEvent::Kind;
  ChannelEvent event;
  if (completion.buffer != core::no_buffer)
    event.buffer = station.buffers(group()).claim(completion.buffer);
  if (is_closing_) {
    if (event.buffer.is_held()) station.buffers(group()).give_back(event.buffer);
    settle(station);
  } else if (completion.error == core::Error::no_buffers) {
    park(station);
  } else if (completion.result > 0) {
    event.kind = Kind::bytes;
    event.size = static_cast<uint32_t>(completion.result);
    unread_ = completion.unread;
  } else {
    event.kind = completion.error == core::Error::none ? Kind::end : Kind::broken;
    event.error = completion.error;
  }
  return event;
}

// Half heads are the first to give up their buffers.
void Channel::park(Station& station) {
  core::BufferPool& pool = station.buffers(group());
  pool.note_shortage();
  station.counters.buffers_starved.add();
  station.starved[static_cast<size_t>(side_)].push_back(*this);
  if (side_ == Side::downstream && !can_be_fed(pool)) ++station.heads_to_shed;
}

void Channel::unpark(Station& station) {
  station.counters.buffers_starved.subtract();
  core::IntrusiveList<Channel, ChannelTag>::remove(*this);
}

void Channel::on_buffer_available(Station& station) {
  unpark(station);
  if (tls_ != nullptr)
    wait_readable(station);  // it completes at once, if there is something
  else
    receive_pooled(station, core::Readiness::expected);
}

// --- out -------------------------------------------------------------------------------------

// At once when the batch is small, and what is left through the ring.
SendProgress Channel::send(Station& station, Outbox& outbox) {
  if (tls_ != nullptr) return send_secured(station, &outbox);
  if (in_flight_.has(Op::send))
    return SendProgress::waiting;  // the one under way goes on with what was added
  if (station.batch_is_small() && send_now(station, outbox) == SendProgress::broken)
    return SendProgress::broken;
  if (outbox.empty()) return SendProgress::done;
  station.kernel.send(token(Op::send), socket_, outbox.front(), outbox.continuation());
  in_flight_.begin(Op::send);
  outbox_ = &outbox;
  return SendProgress::waiting;
}

SendProgress Channel::send_now(Station& station, Outbox& outbox) {
  while (!outbox.empty()) {
    const auto sent = station.kernel.send_now(socket_, outbox.front(), outbox.continuation());
    if (!sent) {
      const core::Error error = sent.error();
      const bool may_pass = error == core::Error::would_block ||
                            error == core::Error::interrupted || error == core::Error::no_memory ||
                            error == core::Error::no_buffers;
      return may_pass ? SendProgress::waiting : SendProgress::broken;
    }
    bytes_sent_ += sent.value();
    outbox.advance(sent.value());
  }
  return SendProgress::done;
}

ChannelEvent Channel::on_send(Station& station, const core::Completion& completion) {
  using Kind = ChannelEvent::Kind;
  Outbox& outbox = *outbox_;
  outbox_ = nullptr;
  bytes_sent_ += static_cast<uint64_t>(completion.result);
  if (is_closing_) {
    settle(station);
    return {};
  }
  if (completion.error != core::Error::none) return {.kind = Kind::unsent};
  outbox.advance(static_cast<size_t>(completion.result));
  switch (outbox.empty() ? SendProgress::done : send(station, outbox)) {
    case SendProgress::done: return {.kind = Kind::sent};
    case SendProgress::waiting: return {.kind = Kind::sending};
    case SendProgress::broken: return {.kind = Kind::unsent};
  }
  SLUICE_UNREACHABLE();
}

core::Result<size_t> Channel::splice_out(Station& station, const core::Pipe& pipe, size_t size) {
  auto sent = station.kernel.splice_now(pipe.read, socket_, size);
  if (sent) bytes_sent_ += sent.value();
  return sent;
}

void Channel::end_output(Station& station) {
  if (tls_ == nullptr) {
    station.kernel.shutdown_write(socket_);
    return;
  }
  say_end(station);
  tls_->ends_output = true;
  static_cast<void>(send_secured(station, outbox_));
}

// --- readiness -------------------------------------------------------------------------------

void Channel::wait_readable(Station& station) {
  if (in_flight_.has(Op::readable)) return;
  in_flight_.begin(Op::readable);
  station.kernel.watch_readable(token(Op::readable), socket_);
}

void Channel::wait_writable(Station& station) {
  if (in_flight_.has(Op::writable)) return;
  in_flight_.begin(Op::writable);
  station.kernel.watch_writable(token(Op::writable), socket_);
}

void Channel::watch(Station& station) {
  if (in_flight_.has(Op::watch)) return;
  in_flight_.begin(Op::watch);
  station.kernel.watch_hangup(token(Op::watch), socket_);
}

ChannelEvent Channel::on_completion(Station& station, Op op, const core::Completion& completion) {
  using Kind = ChannelEvent::Kind;
  in_flight_.end(op);
  if (op == Op::receive) return on_receive(station, completion);
  if (op == Op::send)
    return tls_ == nullptr ? on_send(station, completion) : on_sent_secured(station, completion);
  if (is_closing_) {
    settle(station);
    return {};
  }
  if (tls_ != nullptr && op == Op::readable) return on_readable_secured(station);
  if (tls_ != nullptr && op == Op::connect && completion.error == core::Error::none) {
    tls_->stage = ChannelTls::Stage::handshake;
    const ChannelEvent event = shake_hands(station, {});
    if (event.kind == Kind::none) wait_readable(station);
    return event;
  }
  switch (op) {
    case Op::watch: return {.kind = Kind::hangup};
    case Op::readable: return {.kind = Kind::readable};
    case Op::writable: return {.kind = Kind::writable};
    case Op::connect:
      return {.kind = completion.error == core::Error::none ? Kind::connected : Kind::refused,
              .error = completion.error};
    case Op::receive:
    case Op::send: break;
  }
  SLUICE_UNREACHABLE();
}

// --- closing ---------------------------------------------------------------------------------

void Channel::begin_close(Station& station, Ending ending) {
  if (is_closing_) return;
  if (is_starved()) unpark(station);
  // Shutting down a socket whose connect is still in the submission queue does nothing; cancelling
  // comes after it.
  if (in_flight_.has(Op::connect)) station.kernel.cancel(token(Op::connect));
  if (tls_ != nullptr) begin_close_tls(station, ending);
  is_closing_ = true;
  if (ending == Ending::reset) {
    station.kernel.abort_connection(socket_);
  } else if (!in_flight_.none()) {
    station.kernel.shutdown_both(socket_);
  }
  settle(station);
}

void Channel::settle(Station& station) {
  if (is_closing_ && in_flight_.none() && !is_linked())
    station.settled[static_cast<size_t>(side_)].push_back(*this);
}

void Channel::give_up(Station& station) {
  is_closing_ = true;
  if (tls_ != nullptr) begin_close_tls(station, Ending::reset);
  finish_close(station);
}

// The one place where the descriptor of a connection is closed.
void Channel::finish_close(Station& station) {
  SLUICE_ASSERT(is_closing_ && in_flight_.none());
  station.kernel.close(socket_);
  if (tls_ != nullptr) drop_tls(station);
}

bool can_feed(Station& station, Side side) {
  const core::BufferPool& pool =
      side == Side::downstream ? station.request_buffers : station.response_buffers;
  auto& waiting = station.starved[static_cast<size_t>(side)];
  return !waiting.empty() && waiting.front()->can_be_fed(pool) && pool.held() + 1 < pool.count();
}

}  // namespace sluice::proxy
