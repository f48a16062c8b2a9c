#include "proxy/upstream/upstream_connection.h"

#include <algorithm>

#include "proxy/exchange/exchange.h"
#include "proxy/worker.h"

namespace sluice::proxy {

std::string_view to_string(UpstreamConnection::State state) {
  using State = UpstreamConnection::State;
  switch (state) {
    case State::connecting: return "connecting";
    case State::active: return "active";
    case State::idle: return "idle";
    case State::closing: return "closing";
  }
  SLUICE_UNREACHABLE();
}

void UpstreamConnection::on_completion(Worker& worker, Operation operation,
                                       const core::Completion& completion) {
  switch (operation) {
    case Operation::upstream_connect: on_connect(worker, completion); break;
    case Operation::upstream_receive: on_receive(worker, completion); break;
    case Operation::upstream_send: on_send(worker, completion); break;
    case Operation::upstream_readable: on_readable(worker); break;
    case Operation::upstream_writable: on_writable(worker); break;
    default: SLUICE_UNREACHABLE();
  }
}

core::Error UpstreamConnection::open(Worker& worker, Exchange& exchange, CoreEndpoint& endpoint) {
  const core::Destination& destination = endpoint.destination();
  const auto socket = worker.kernel().open_socket(destination.family());
  if (!socket) return socket.error();
  socket_ = socket.value();
  exchange_ = &exchange;
  endpoint_ = &endpoint;
  endpoint.note_opened();
  idle_limit_ = core::Duration::max();
  timer_.bind(worker.token(Operation::upstream_timer, *this));
  worker.counters().upstream_open.add();
  worker.counters().upstream_connects.add();
  in_flight_.begin(Op::connect);
  worker.kernel().connect(worker.token(Operation::upstream_connect, *this), socket_, destination);
  return core::Error::none;
}

void UpstreamConnection::on_connect(Worker& worker, const core::Completion& completion) {
  in_flight_.end(Op::connect);
  if (state_ == State::closing) {
    settle(worker);
    return;
  }
  if (completion.error != core::Error::none) {
    worker.counters().upstream_connect_failures.add();
    exchange_->on_connect_failed(worker, completion.error);
    return;
  }
  state_ = State::active;
  arm_receive(worker, core::Readiness::unexpected);
  exchange_->on_connection(worker);
}

// --- in the pool -----------------------------------------------------------------------------

void UpstreamConnection::assign(Worker& worker, Exchange& exchange) {
  SLUICE_ASSERT(state_ == State::idle);
  worker.counters().upstream_reuses.add();
  endpoint_->note_reuse();
  state_ = State::active;
  exchange_ = &exchange;
  bytes_sent_ = 0;
}

void UpstreamConnection::become_idle(Worker& worker) {
  SLUICE_ASSERT(state_ == State::active && !in_flight_.has(Op::send));
  state_ = State::idle;
  exchange_ = nullptr;
  ++served_;
  if (!in_flight_.has(Op::receive) && !core::ListNode<StarvedTag>::is_linked())
    arm_receive(worker, core::Readiness::unexpected);
  idle_since_ = worker.now();
  worker.wheel().arm(timer_, worker.now() + endpoint_->idle_limit(idle_limit_, worker.now()));
}

bool UpstreamConnection::has_expired(Worker& worker) const {
  return endpoint_->idle_limit(idle_limit_, worker.now()) <= core::Duration{0};
}

bool UpstreamConnection::is_stale(Worker& worker) {
  const auto waiting = worker.kernel().peek(socket_);
  return waiting || waiting.error() != core::Error::would_block;
}

void UpstreamConnection::on_timer(Worker& worker) {
  if (state_ == State::idle) begin_close(worker);
}

// --- for the exchange ------------------------------------------------------------------------

void UpstreamConnection::arm_receive(Worker& worker, core::Readiness readiness) {
  in_flight_.begin(Op::receive);
  worker.kernel().receive_pooled(worker.token(Operation::upstream_receive, *this), socket_,
                                 core::BufferGroup::upstream, readiness);
}

void UpstreamConnection::receive(Worker& worker, std::span<std::byte> into) {
  in_flight_.begin(Op::receive);
  worker.kernel().receive(worker.token(Operation::upstream_receive, *this), socket_, into,
                          core::Readiness::unexpected);
}

void UpstreamConnection::on_receive(Worker& worker, const core::Completion& completion) {
  in_flight_.end(Op::receive);
  core::Buffer buffer;
  core::BufferPool& pool = worker.buffers(core::BufferGroup::upstream);
  if (completion.buffer != core::no_buffer) buffer = pool.claim(completion.buffer);
  switch (state_) {
    case State::active:
      if (completion.error == core::Error::no_buffers) {
        worker.park(*this);
      } else if (completion.result > 0) {
        unread_ = completion.unread;
        exchange_->on_upstream_bytes(worker, buffer, static_cast<uint32_t>(completion.result));
      } else {
        exchange_->on_upstream_closed(worker, completion.error);
      }
      return;  // the buffer is the exchange's now
    case State::idle:
      // A FIN, or bytes that answer no request: either way nobody will use it again.
      worker.counters().upstream_stale.add();
      if (completion.error == core::Error::none && completion.result == 0)
        endpoint_->learn_idle_limit(worker.now() - idle_since_, worker.now());
      begin_close(worker);
      break;
    case State::closing: break;
    case State::connecting: SLUICE_UNREACHABLE();
  }
  if (buffer.is_held()) pool.give_back(buffer);
  settle(worker);
}

void UpstreamConnection::on_buffer_available(Worker& worker) {
  arm_receive(worker, core::Readiness::expected);
}

SendProgress UpstreamConnection::send(Worker& worker, Outbox& outbox) {
  if (in_flight_.has(Op::send)) return SendProgress::waiting;
  const auto token = worker.token(Operation::upstream_send, *this);
  const SendProgress progress = continue_sending(worker.kernel(), worker.batch_is_small(), token,
                                                 socket_, outbox, bytes_sent_);
  if (progress == SendProgress::waiting) {
    in_flight_.begin(Op::send);
    outbox_ = &outbox;
  }
  return progress;
}

void UpstreamConnection::on_send(Worker& worker, const core::Completion& completion) {
  in_flight_.end(Op::send);
  Outbox& outbox = *outbox_;
  outbox_ = nullptr;
  bytes_sent_ += static_cast<uint64_t>(completion.result);
  if (state_ == State::closing) {
    settle(worker);
    return;
  }
  SLUICE_ASSERT(state_ == State::active);
  SendProgress progress = SendProgress::broken;
  if (completion.error == core::Error::none) {
    outbox.advance(static_cast<size_t>(completion.result));
    progress = outbox.empty() ? SendProgress::done : send(worker, outbox);
  }
  if (progress == SendProgress::waiting) {
    exchange_->on_upstream_progress(worker);
  } else {
    exchange_->on_upstream_sent(worker, progress);
  }
}

void UpstreamConnection::wait_readable(Worker& worker) {
  Connection::wait_readable(worker, worker.token(Operation::upstream_readable, *this));
}

void UpstreamConnection::wait_writable(Worker& worker) {
  Connection::wait_writable(worker, worker.token(Operation::upstream_writable, *this));
}

void UpstreamConnection::on_readable(Worker& worker) {
  in_flight_.end(Op::readable);
  if (state_ == State::active)
    exchange_->on_upstream_readable(worker);
  else
    settle(worker);
}

void UpstreamConnection::on_writable(Worker& worker) {
  in_flight_.end(Op::writable);
  if (state_ == State::active)
    exchange_->on_upstream_writable(worker);
  else
    settle(worker);
}

// --- closing ---------------------------------------------------------------------------------

void UpstreamConnection::begin_close(Worker& worker) {
  if (state_ == State::closing) return;
  if (state_ == State::idle) endpoint_->upstream().forget(worker, *this);
  if (core::ListNode<StarvedTag>::is_linked()) worker.unpark(*this);
  // Shutting down a socket whose connect is still in the submission queue does nothing; cancelling
  // comes after it.
  if (in_flight_.has(Op::connect))
    worker.kernel().cancel(worker.token(Operation::upstream_connect, *this));
  state_ = State::closing;
  worker.wheel().disarm(timer_);
  if (!in_flight_.none()) worker.kernel().shutdown_both(socket_);
  settle(worker);
}

void UpstreamConnection::settle(Worker& worker) {
  if (state_ == State::closing && in_flight_.none() && !core::ListNode<SettledTag>::is_linked())
    worker.settled(*this);
}

void UpstreamConnection::finish_close(Worker& worker) {
  SLUICE_ASSERT(state_ == State::closing && in_flight_.none());
  worker.kernel().close(socket_);
  worker.counters().upstream_open.subtract();
  endpoint_->upstream().on_closed(worker);
  endpoint_->note_closed();  // the last that is said of it: it may go
  if (exchange_ != nullptr) exchange_->on_upstream_gone(worker);
  worker.release(*this);
}

}  // namespace sluice::proxy
