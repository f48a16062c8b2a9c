#include "proxy/downstream_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/client_address.h"
#include "proxy/exchange/exchange.h"
#include "proxy/proxy_header.h"
#include "proxy/worker.h"

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
    case State::idle: return "idle";
    case State::gathering: return "gathering";
    case State::ready: return "ready";
    case State::exchanging: return "exchanging";
    case State::lingering: return "lingering";
    case State::closing: return "closing";
  }
  SLUICE_UNREACHABLE();
}

void DownstreamConnection::on_completion(Worker& worker, Operation operation,
                                         const core::Completion& completion) {
  switch (operation) {
    case Operation::downstream_receive: on_receive(worker, completion); break;
    case Operation::downstream_send: on_send(worker, completion); break;
    case Operation::downstream_watch: on_watch(worker); break;
    case Operation::downstream_readable: on_readable(worker); break;
    case Operation::downstream_writable: on_writable(worker); break;
    default: SLUICE_UNREACHABLE();
  }
}

void DownstreamConnection::open(Worker& worker, int socket, config::ProxyProtocol announces,
                                const core::SocketAddress& address, Share* share) {
  socket_ = socket;
  address_ = address;
  share_ = share;
  timer_.bind(worker.token(Operation::downstream_timer, *this));
  worker.counters().connections_open.add();
  if (announces == config::ProxyProtocol::required) {
    state_ = State::awaiting_proxy_header;
    if (!is_trusted(worker.config(), address)) {
      refuse_proxy_header(worker);
      return;
    }
    worker.wheel().arm(timer_, worker.now() + worker.config().timeouts.head);
  } else {
    become_idle(worker);
  }
  arm_receive(worker, core::Readiness::expected);  // a client that connects has something to say
}

// --- waiting for a request -------------------------------------------------------------------

void DownstreamConnection::become_idle(Worker& worker) {
  state_ = State::idle;
  since_ = worker.now();
  worker.idle_connections().push_back(*this);
  worker.counters().connections_idle.add();
  worker.wheel().arm(timer_, worker.now() + worker.config().timeouts.idle);
}

void DownstreamConnection::leave_idle(Worker& worker) {
  SLUICE_ASSERT(state_ == State::idle);
  core::IntrusiveList<DownstreamConnection, IdleTag>::remove(*this);
  worker.counters().connections_idle.subtract();
}

void DownstreamConnection::arm_receive(Worker& worker, core::Readiness readiness) {
  in_flight_.begin(Op::receive);
  worker.kernel().receive_pooled(worker.token(Operation::downstream_receive, *this), socket_,
                                 core::BufferGroup::downstream, readiness);
}

void DownstreamConnection::on_receive(Worker& worker, const core::Completion& completion) {
  in_flight_.end(Op::receive);
  core::Buffer buffer;
  if (completion.buffer != core::no_buffer)
    buffer = worker.buffers(core::BufferGroup::downstream).claim(completion.buffer);
  const auto size = static_cast<uint32_t>(completion.result);
  const bool parked = completion.error == core::Error::no_buffers && state_ != State::closing;

  if (parked) {
    worker.park(*this);
  } else if (state_ == State::awaiting_proxy_header && size > 0) {
    on_proxy_header_bytes(worker, buffer, size);
    return;
  } else if (state_ == State::idle && buffer.is_held()) {
    leave_idle(worker);
    waiting_ = buffer;
    waiting_size_ = size;
    since_ = worker.now();
    begin_head(worker);
    return;
  } else if (state_ == State::gathering) {
    waiting_size_ += size;
    if (size > 0)
      read_head(worker);
    else
      refuse_head(worker, Failure::downstream_closed);
    return;
  } else if (state_ == State::lingering && waiting_.is_held()) {
    on_linger_bytes(worker, std::exchange(waiting_, {}), completion);
    return;
  } else if (state_ == State::exchanging && size > 0) {
    exchange_->stop_waiting_for_client();
    exchange_->on_downstream_bytes(worker, size);
    return;
  } else if (state_ == State::lingering && buffer.is_held()) {
    on_linger_bytes(worker, buffer, completion);
    return;
  } else if (state_ == State::exchanging && completion.error == core::Error::none) {
    exchange_->on_downstream_end(worker);
    return;
  } else if (state_ == State::exchanging) {
    exchange_->on_downstream_closed(worker);
    return;
  } else if (state_ != State::closing) {
    begin_close(worker);
  }
  if (buffer.is_held()) worker.buffers(core::BufferGroup::downstream).give_back(buffer);
  settle(worker);
}

void DownstreamConnection::on_buffer_available(Worker& worker) {
  arm_receive(worker, core::Readiness::expected);
}

// --- for the exchange ------------------------------------------------------------------------

void DownstreamConnection::receive(Worker& worker, std::span<std::byte> into,
                                   core::Duration timeout) {
  worker.wheel().arm(timer_, worker.now() + timeout);
  worker.begin_waiting_for_client(*exchange_);
  receive(worker, into);
}

void DownstreamConnection::receive(Worker& worker, std::span<std::byte> into) {
  in_flight_.begin(Op::receive);
  worker.kernel().receive(worker.token(Operation::downstream_receive, *this), socket_, into,
                          core::Readiness::unexpected);
}

SendProgress DownstreamConnection::send(Worker& worker, Outbox& outbox) {
  if (in_flight_.has(Op::send))
    return SendProgress::waiting;  // the one under way goes on with what was added
  const auto token = worker.token(Operation::downstream_send, *this);
  const SendProgress progress = continue_sending(worker.kernel(), worker.batch_is_small(), token,
                                                 socket_, outbox, bytes_sent_);
  if (progress == SendProgress::waiting) {
    in_flight_.begin(Op::send);
    outbox_ = &outbox;
    worker.wheel().arm(timer_, worker.now() + worker.config().timeouts.write);
    worker.begin_waiting_for_client(*exchange_);
  }
  return progress;
}

void DownstreamConnection::on_send(Worker& worker, const core::Completion& completion) {
  in_flight_.end(Op::send);
  Outbox& outbox = *outbox_;
  outbox_ = nullptr;
  bytes_sent_ += static_cast<uint64_t>(completion.result);
  if (state_ == State::closing) {
    settle(worker);
    return;
  }
  SLUICE_ASSERT(state_ == State::exchanging);
  if (completion.error != core::Error::none) {
    exchange_->on_downstream_closed(worker);
    return;
  }
  outbox.advance(static_cast<size_t>(completion.result));
  exchange_->stop_waiting_for_client();
  switch (outbox.empty() ? SendProgress::done : send(worker, outbox)) {
    case SendProgress::done: exchange_->on_downstream_sent(worker); break;
    case SendProgress::waiting: break;
    case SendProgress::broken: exchange_->on_downstream_closed(worker); break;
  }
}

// Armed once and left armed: it costs nothing until the client goes away.
void DownstreamConnection::watch(Worker& worker) {
  if (in_flight_.has(Op::watch)) return;
  in_flight_.begin(Op::watch);
  worker.kernel().watch_hangup(worker.token(Operation::downstream_watch, *this), socket_);
}

void DownstreamConnection::on_watch(Worker& worker) {
  in_flight_.end(Op::watch);
  switch (state_) {
    case State::exchanging: exchange_->on_downstream_hangup(worker); break;
    case State::closing: settle(worker); break;
    case State::awaiting_proxy_header:
    // Bytes may lie before the FIN: the receive that is armed, or the request that is ready, will
    // come to it.
    case State::idle:
    case State::gathering:
    case State::ready:
    case State::lingering: break;
  }
}

void DownstreamConnection::on_timer(Worker& worker) {
  switch (state_) {
    case State::exchanging: exchange_->on_downstream_timeout(worker); break;
    case State::awaiting_proxy_header: refuse_proxy_header(worker); break;
    case State::gathering: refuse_head(worker, Failure::head_timeout); break;
    case State::idle:
      // Bytes are here, and in all this time there was no buffer to read them into.
      if (core::ListNode<StarvedTag>::is_linked()) worker.counters().connections_shed.add();
      begin_close(worker);
      break;
    case State::lingering: begin_close(worker); break;
    case State::ready:
    case State::closing: break;
  }
}

void DownstreamConnection::wait_readable(Worker& worker, core::Duration timeout) {
  worker.wheel().arm(timer_, worker.now() + timeout);
  worker.begin_waiting_for_client(*exchange_);
  wait_readable(worker);
}

void DownstreamConnection::wait_readable(Worker& worker) {
  Connection::wait_readable(worker, worker.token(Operation::downstream_readable, *this));
}

void DownstreamConnection::wait_writable(Worker& worker) {
  worker.begin_waiting_for_client(*exchange_);
  worker.wheel().arm(timer_, worker.now() + worker.config().timeouts.write);
  Connection::wait_writable(worker, worker.token(Operation::downstream_writable, *this));
}

void DownstreamConnection::on_readable(Worker& worker) {
  in_flight_.end(Op::readable);
  if (state_ == State::exchanging) {
    exchange_->stop_waiting_for_client();
    exchange_->on_downstream_readable(worker);
  } else {
    settle(worker);
  }
}

void DownstreamConnection::on_writable(Worker& worker) {
  in_flight_.end(Op::writable);
  if (state_ == State::exchanging) {
    exchange_->stop_waiting_for_client();
    exchange_->on_downstream_writable(worker);
  } else {
    settle(worker);
  }
}

// --- afterwards ------------------------------------------------------------------------------

void DownstreamConnection::next(Worker& worker, core::Buffer buffer, uint32_t size) {
  exchange_ = nullptr;
  if (size > 0) {
    state_ = State::ready;
    since_ = worker.now();
    waiting_ = buffer;
    waiting_size_ = size;
    worker.make_ready(*this);
    return;
  }
  if (buffer.is_held()) worker.buffers(core::BufferGroup::downstream).give_back(buffer);
  become_idle(worker);
  arm_receive(worker, core::Readiness::unexpected);
  if (worker.is_draining()) on_drain(worker);
}

// Closing while the client still sends would answer its bytes with a reset, and the reset would eat
// our answer.
void DownstreamConnection::begin_linger(Worker& worker, core::Buffer buffer) {
  exchange_ = nullptr;
  state_ = State::lingering;
  end_output(worker);
  since_ = worker.now();
  worker.wheel().arm(timer_, worker.now() + worker.config().timeouts.linger);
  if (in_flight_.has(Op::receive)) {
    waiting_ = buffer;
    worker.kernel().cancel(worker.token(Operation::downstream_receive, *this));
  } else {
    worker.buffers(core::BufferGroup::downstream).give_back(buffer);
    arm_receive(worker, core::Readiness::unexpected);
  }
}

// By time and not by bytes: what the client had under way when it was answered may be megabytes.
void DownstreamConnection::on_linger_bytes(Worker& worker, core::Buffer buffer,
                                           const core::Completion& completion) {
  const core::Duration linger = worker.config().timeouts.linger;
  worker.buffers(core::BufferGroup::downstream).give_back(buffer);
  if (completion.error == core::Error::cancelled) {
    arm_receive(worker, core::Readiness::unexpected);
    return;
  }
  if (completion.result == 0) {
    begin_close(worker);
    return;
  }
  worker.wheel().arm(timer_, std::min(worker.now() + linger, since_ + linger_periods_max * linger));
  arm_receive(worker, core::Readiness::unexpected);
}

void DownstreamConnection::on_drain(Worker& worker) {
  if (worker.is_yielding()) return;
  if (state_ != State::idle && state_ != State::awaiting_proxy_header) return;
  // A request that is here already is served; its answer says that the connection closes.
  const auto waiting = worker.kernel().peek(socket_);
  if (waiting && waiting.value() > 0) return;
  if (requests_ == 0 && !waiting && waiting.error() == core::Error::would_block) {
    // It has only just come: what it wants is on its way, and nobody told it that it must ask
    // again.
    worker.wheel().arm(timer_, worker.now() + newcomer_grace);
    return;
  }
  begin_close(worker);
}

void DownstreamConnection::on_cut(Worker& worker) {
  if (state_ == State::gathering) {
    worker.counters().drain_cut.add();
    refuse_head(worker, Failure::drain);
  } else if (state_ != State::exchanging) {
    begin_close(worker);
  }
}

void DownstreamConnection::begin_close(Worker& worker, Ending ending) {
  if (state_ == State::closing) return;
  if (state_ == State::idle) leave_idle(worker);
  if (state_ == State::gathering) worker.end_gathering(*this);
  if (state_ == State::ready) {
    core::IntrusiveList<DownstreamConnection, ReadyTag>::remove(*this);
    worker.buffers(core::BufferGroup::downstream).give_back(waiting_);
  }
  if (core::ListNode<StarvedTag>::is_linked()) worker.unpark(*this);
  state_ = State::closing;
  worker.wheel().disarm(timer_);
  if (ending == Ending::reset) {
    worker.kernel().abort_connection(socket_);
  } else if (!in_flight_.none()) {
    worker.kernel().shutdown_both(socket_);
  }
  settle(worker);
}

void DownstreamConnection::settle(Worker& worker) {
  if (state_ == State::closing && in_flight_.none() && !core::ListNode<SettledTag>::is_linked())
    worker.settled(*this);
}

void DownstreamConnection::finish_close(Worker& worker) {
  SLUICE_ASSERT(state_ == State::closing && in_flight_.none());
  if (waiting_.is_held()) worker.buffers(core::BufferGroup::downstream).give_back(waiting_);
  worker.kernel().close(socket_);
  worker.counters().connections_open.subtract();
  if (share_ != nullptr) worker.disconnect_address(*share_);
  if (exchange_ != nullptr) exchange_->on_downstream_gone(worker);
  worker.release(*this);
}

}  // namespace sluice::proxy
