// How a worker's connections come in, and how its listeners go.
#include <algorithm>

#include "proxy/room.h"
#include "proxy/worker.h"

namespace sluice::proxy {

namespace {

constexpr core::Duration accept_pause = std::chrono::milliseconds{100};

}  // namespace

// The listeners of a new configuration: what stays is kept, what is new opened, what is gone
// closes.
void Worker::open_acceptors(AdoptMessage& message) {
  using Listener = AdoptMessage::Listener;
  for (Acceptor& acceptor : acceptors_) {
    if (acceptor.state == Acceptor::State::stopped || acceptor.is_leaving) continue;
    const auto kept =
        std::find_if(message.listeners.begin(), message.listeners.end(),
                     [&](const Listener& one) { return one.descriptor == acceptor.listener; });
    if (kept == message.listeners.end()) {
      begin_stop_listening(acceptor);
    } else {
      acceptor.config = kept->config;
    }
  }
  for (const Listener& listener : message.listeners) {
    const bool is_known =
        std::any_of(acceptors_.begin(), acceptors_.end(), [&](const Acceptor& one) {
          return one.state != Acceptor::State::stopped && one.listener == listener.descriptor &&
                 !one.is_leaving;
        });
    if (is_known) continue;
    const auto free = std::find_if(acceptors_.begin(), acceptors_.end(), [](const Acceptor& one) {
      return one.state == Acceptor::State::stopped;
    });
    SLUICE_ASSERT(free != acceptors_.end());
    acceptors_used_ = std::max(acceptors_used_, static_cast<size_t>(free - acceptors_.begin()) + 1);
    free->state = Acceptor::State::pausing;
    free->is_leaving = false;
    free->listener = listener.descriptor;
    free->config = listener.config;
  }
}

// A multishot accept knows no back-pressure: it ends while there is still room for what it may have
// posted already.
void Worker::arm_accept(Acceptor& acceptor) {
  const uint32_t taken = downstreams_.taken();
  if (taken >= connections_max()) {
    make_room(acceptor);
    return;
  }
  const bool near_bound = taken + accept_margin >= connections_max();
  acceptor.state = near_bound ? Acceptor::State::once : Acceptor::State::multishot;
  station_.kernel.accept(token(Operation::accept, acceptor), acceptor.listener,
                         near_bound ? core::AcceptMode::once : core::AcceptMode::multishot);
}

// Full: the oldest half head goes, or the connection that has been idle for longest. Without one,
// accepting waits; one that has only just come has not had the time to say what it wants.
void Worker::make_room(Acceptor& acceptor) {
  if (DownstreamConnection* oldest = station_.gathering.front();
      oldest != nullptr && oldest->idle_since() + accept_pause <= station_.now()) {
    deliver(*oldest, oldest->shed_head(station_));
    // Its answer is out: it is the place that is needed.
    if (oldest->state() == DownstreamConnection::State::lingering) oldest->begin_close(station_);
    station_.wheel().arm(acceptor.timer, station_.now() + accept_pause);
  } else if (oldest = station_.idle.front();
             oldest != nullptr && oldest->idle_since() + accept_pause <= station_.now()) {
    station_.counters.connections_shed.add();
    oldest->begin_close(station_);
    station_.loop.stay_awake();
  } else {
    station_.wheel().arm(acceptor.timer, station_.now() + accept_pause);
  }
}

// Cancelling misses an operation that is just being retried; it is asked again until it has heard.
void Worker::cancel_accept(Acceptor& acceptor) {
  acceptor.state = Acceptor::State::cancelling;
  station_.kernel.cancel(token(Operation::accept, acceptor));
  station_.wheel().arm(acceptor.timer, station_.now() + accept_pause);
}

void Worker::on_accept(Acceptor& acceptor, const core::Completion& completion) {
  if (!completion.more) station_.wheel().disarm(acceptor.timer);
  if (completion.error == core::Error::none) {
    admit_socket(acceptor, completion.result);
  } else if (completion.error != core::Error::cancelled && completion.error != core::Error::reset) {
    // Out of descriptors or memory: the connection waits in the backlog meanwhile.
    station_.counters.accept_failures.add();
    station_.wheel().arm(acceptor.timer, station_.now() + accept_pause);
  }
  if (completion.more) {
    if (acceptor.state == Acceptor::State::multishot &&
        downstreams_.taken() + accept_margin >= connections_max())
      cancel_accept(acceptor);
    return;
  }
  acceptor.state = Acceptor::State::pausing;
  if (acceptor.is_leaving) stop_listening(acceptor);
}

void Worker::admit_socket(const Acceptor& acceptor, int socket) {
  const auto address = station_.kernel.peer_address(socket);
  DownstreamConnection* connection = address ? downstreams_.take() : nullptr;
  if (connection == nullptr) {
    if (address) station_.counters.connections_refused.add();
    station_.kernel.close(socket);
    return;
  }
  Share* share = nullptr;
  // What a PROXY protocol header announces is counted instead.
  if (acceptor.config.proxy_protocol == config::ProxyProtocol::off &&
      join_address(station_, address.value(), share) == Joined::refused) {
    downstreams_.release(*connection);
    station_.kernel.close(socket);
    return;
  }
  station_.counters.connections_accepted.add();
  const auto timer = static_cast<uint8_t>(Operation::downstream_timer);
  connection->open(
      station_, downstreams_.token(timer, *connection),
      {.socket = socket, .listener = &acceptor.config, .address = address.value(), .share = share});
  if (station_.is_draining()) connection->on_drain(station_);
}

void Worker::begin_stop_listening(Acceptor& acceptor) {
  if (acceptor.is_leaving) return;
  acceptor.is_leaving = true;
  switch (acceptor.state) {
    case Acceptor::State::multishot:
    case Acceptor::State::once: cancel_accept(acceptor); break;
    case Acceptor::State::pausing: stop_listening(acceptor); break;
    case Acceptor::State::cancelling:
    case Acceptor::State::stopped: break;
  }
}

void Worker::stop_listening(Acceptor& acceptor) {
  SLUICE_ASSERT(acceptor.state == Acceptor::State::pausing);
  station_.wheel().disarm(acceptor.timer);
  // Closing would reset those who wait. Where another process shares the queue they would wait
  // there for ever: the kernel wakes one accept for each, and it may have been the one that was
  // just cancelled.
  while (downstreams_.taken() < connections_max()) {
    const auto socket = station_.kernel.accept_now(acceptor.listener);
    if (!socket &&
        (socket.error() == core::Error::reset || socket.error() == core::Error::interrupted))
      continue;
    if (!socket) break;
    admit_socket(acceptor, socket.value());
  }
  station_.kernel.close(acceptor.listener);
  acceptor.listener = -1;
  acceptor.state = Acceptor::State::stopped;
}

// --- the end ---------------------------------------------------------------------------------

void Worker::stop_all_listening() {
  for (Acceptor& acceptor : acceptors_) {
    if (acceptor.state != Acceptor::State::stopped) begin_stop_listening(acceptor);
  }
}

// Another process listens. A kept connection may be asked on at any moment: it is closed by an
// answer that says so, or when it has been idle for as long as ever, and not under a request.
void Worker::begin_yield() {
  if (station_.is_draining()) return;
  station_.stage = Stage::yielding;
  stop_all_listening();
}

void Worker::finish_yield() {
  if (!station_.is_yielding() || downstreams_.taken() > 0 || exchanges_.taken() > 0) return;
  const auto listens = [](const Acceptor& one) { return one.state != Acceptor::State::stopped; };
  if (std::none_of(acceptors_.begin(), acceptors_.end(), listens)) begin_drain();
}

void Worker::begin_drain() {
  if (station_.stage == Stage::draining || station_.stage == Stage::stopped) return;
  station_.stage = Stage::draining;
  stop_all_listening();
  downstreams_.for_each(
      [this](DownstreamConnection& connection) { connection.on_drain(station_); });
  while (!station_.idle_upstreams.empty()) station_.idle_upstreams.front()->begin_close(station_);
}

// The deadline: what waits is refused, what is half sent is cut, and the next time everything
// closes at once.
void Worker::cut() {
  exchanges_.for_each([this](Exchange& exchange) { exchange.on_cut(station_); });
  downstreams_.for_each([this](DownstreamConnection& connection) {
    deliver(connection, connection.on_cut(station_));
  });
}

}  // namespace sluice::proxy
