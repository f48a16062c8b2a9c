// A connection to an endpoint, pooled or lent.
#include "proxy/upstream/upstream_connection.h"

#include <utility>

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

core::Error UpstreamConnection::open(Station& station, core::Token timer, Exchange& exchange,
                                     CoreEndpoint& endpoint) {
  const core::Destination& destination = endpoint.destination();
  const auto socket = station.kernel.open_socket(destination.family());
  if (!socket) return socket.error();
  exchange_ = &exchange;
  endpoint_ = &endpoint;
  endpoint.note_opened();
  idle_limit_ = core::Duration::max();
  timer_.bind(timer);
  station.counters.upstream_open.add();
  station.counters.upstream_connects.add();
  channel_.open(Side::upstream, socket.value(), timer);
  if (EndpointTls* tls = endpoint.tls();
      tls != nullptr &&
      !channel_.secure(station, *tls->context, {tls->name, tls->is_address}, tls->ticket.get())) {
    channel_.give_up(station);
    station.counters.upstream_open.subtract();
    endpoint.note_closed();
    return core::Error::no_memory;
  }
  channel_.connect(station, destination);
  return core::Error::none;
}

// --- events ----------------------------------------------------------------------------------

ChannelEvent UpstreamConnection::on_completion(Station& station, Channel::Op op,
                                               const core::Completion& completion) {
  return on_channel(station, channel_.on_completion(station, op, completion));
}

ChannelEvent UpstreamConnection::on_turn(Station& station) {
  return on_channel(station, channel_.on_turn(station));
}

ChannelEvent UpstreamConnection::on_channel(Station& station, ChannelEvent event) {
  using Kind = ChannelEvent::Kind;
  if (event.kind == Kind::none || state_ == State::active) return event;
  if (event.kind == Kind::connected) {
    state_ = State::active;
    channel_.receive_pooled(station, core::Readiness::unexpected);
    return event;
  }
  if (event.kind == Kind::refused) {
    station.counters.upstream_connect_failures.add();
    return event;
  }
  // Left over from the exchange before.
  if (event.kind == Kind::readable || event.kind == Kind::writable) return {};
  // A FIN, or bytes that answer no request: either way nobody will use it again.
  SLUICE_ASSERT(state_ == State::idle);
  station.counters.upstream_stale.add();
  if (event.kind == Kind::end)
    endpoint_->learn_idle_limit(station.now() - idle_since_, station.now());
  begin_close(station);
  if (event.buffer.is_held()) station.response_buffers.give_back(event.buffer);
  return {};
}

void UpstreamConnection::on_timer(Station& station) {
  if (state_ == State::idle) begin_close(station);
}

// --- in the pool -----------------------------------------------------------------------------

void UpstreamConnection::assign(Station& station, Exchange& exchange) {
  SLUICE_ASSERT(state_ == State::idle);
  leave_pool(station);
  station.counters.upstream_reuses.add();
  endpoint_->note_reuse();
  state_ = State::active;
  exchange_ = &exchange;
  sent_before_ = channel_.bytes_sent();
}

void UpstreamConnection::become_idle(Station& station) {
  SLUICE_ASSERT(state_ == State::active && !channel_.has_send_in_flight());
  state_ = State::idle;
  exchange_ = nullptr;
  ++served_;
  if (tls::Session* session = channel_.session()) {
    if (tls::SessionTicket ticket = session->take_ticket())
      endpoint_->tls()->ticket = std::move(ticket);
  }
  if (!channel_.is_receiving() && !channel_.is_starved())
    channel_.receive_pooled(station, core::Readiness::unexpected);
  idle_since_ = station.now();
  station.wheel().arm(timer_, station.now() + endpoint_->idle_limit(idle_limit_, station.now()));
  endpoint_->idle().push_front(*this);
  endpoint_->idle_count().add();
  station.idle_upstreams.push_front(*this);
  station.counters.upstream_idle.add();
}

void UpstreamConnection::leave_pool(Station& station) {
  core::IntrusiveList<UpstreamConnection, IdleTag>::remove(*this);
  core::IntrusiveList<UpstreamConnection, IdleAgeTag>::remove(*this);
  endpoint_->idle_count().subtract();
  station.counters.upstream_idle.subtract();
}

bool UpstreamConnection::has_expired(Station& station) const {
  return endpoint_->idle_limit(idle_limit_, station.now()) <= core::Duration{0};
}

// --- closing ---------------------------------------------------------------------------------

void UpstreamConnection::begin_close(Station& station) {
  if (state_ == State::closing) return;
  if (state_ == State::idle) leave_pool(station);
  state_ = State::closing;
  station.wheel().disarm(timer_);
  channel_.begin_close(station);
}

void UpstreamConnection::finish_close(Station& station) {
  channel_.finish_close(station);
  station.counters.upstream_open.subtract();
}

}  // namespace sluice::proxy
