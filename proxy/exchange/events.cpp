// What an exchange hears from both sides, and who gives way when a worker's room is taken: requests
// that only wait for their clients.
#include "proxy/exchange/exchange.h"

namespace sluice::proxy {

namespace {

// Nobody goes who was heard of in this time.
constexpr core::Duration stall_min = std::chrono::seconds{1};

uint32_t exchanges_of(const Share* share, uint32_t unknown) {
  return share == nullptr ? unknown : share->exchanges;
}

}  // namespace

void Exchange::on_downstream(Station& station, const DownstreamEvent& event) {
  using Kind = DownstreamEvent::Kind;
  switch (event.kind) {
    case Kind::bytes:
      stop_waiting_for_client();
      on_downstream_bytes(station, event.size);
      break;
    case Kind::sent:
      stop_waiting_for_client();
      on_downstream_sent(station);
      break;
    case Kind::sending: begin_waiting_for_client(station); break;
    case Kind::readable:
      stop_waiting_for_client();
      on_downstream_readable(station);
      break;
    case Kind::writable:
      stop_waiting_for_client();
      on_downstream_writable(station);
      break;
    case Kind::end: on_downstream_end(station); break;
    case Kind::closed: on_downstream_closed(station); break;
    case Kind::hangup: on_downstream_hangup(station); break;
    case Kind::timeout: on_downstream_timeout(station); break;
    case Kind::none:
    case Kind::head:
    case Kind::no_head: SLUICE_UNREACHABLE();
  }
}

void Exchange::on_upstream(Station& station, const ChannelEvent& event) {
  using Kind = ChannelEvent::Kind;
  switch (event.kind) {
    case Kind::connected: on_connection(station); break;
    case Kind::refused: on_connect_failed(station, event.error); break;
    case Kind::bytes: on_upstream_bytes(station, event.buffer, event.size); break;
    case Kind::end:
    case Kind::broken: on_upstream_closed(station, event.error); break;
    case Kind::sent: on_upstream_sent(station, SendProgress::done); break;
    case Kind::sending: on_upstream_progress(station); break;
    case Kind::unsent: on_upstream_sent(station, SendProgress::broken); break;
    case Kind::readable: on_upstream_readable(station); break;
    case Kind::writable: on_upstream_writable(station); break;
    case Kind::none:
    case Kind::hangup: SLUICE_UNREACHABLE();
  }
}

// --- requests that wait for their clients ----------------------------------------------------

void Exchange::receive_downstream(Station& station, std::span<std::byte> into,
                                  core::Duration timeout) {
  downstream_->expect_within(station, timeout);
  begin_waiting_for_client(station);
  downstream_->channel().receive(station, into);
}

void Exchange::begin_waiting_for_client(Station& station) {
  stop_waiting_for_client();
  client_wait_.since = station.now();
  if (state_ == State::discarding)
    station.answered.push_back(client_wait_);
  else
    (place_ != nullptr ? place_->stalled() : station.stalled).push_back(client_wait_);
}

// A request has begun: of those that only wait for a client one may have to go for it. Those that
// have their answers take nobody's place, but a buffer.
void Exchange::make_room(Station& station) const {
  const ClientWaiter* longest = station.answered.front();
  if (longest != nullptr && station.counters.exchanges.get() > station.config().bounds.exchanges)
    longest->exchange->shed(station);
  if (station.is_overloaded()) shed_stalled(station, station.stalled, *this);
}

void Exchange::shed_stalled(Station& station,
                            core::IntrusiveList<ClientWaiter, ClientWaitTag>& waiting,
                            const Exchange& for_this) {
  const ClientWaiter* longest = waiting.front();
  if (longest == nullptr || longest->exchange == &for_this ||
      longest->since + stall_min > station.now())
    return;
  if (exchanges_of(longest->share, UINT32_MAX) > exchanges_of(for_this.share_, 0))
    longest->exchange->shed(station);
}

// What waits for its client has nothing that others could not use.
void Exchange::shed(Station& station) {
  station.counters.exchanges_shed.add();
  if (state_ == State::discarding) {  // it has its answer
    finish(station, Afterwards::linger);
  } else if (response_begun() || downstream_->channel().is_sending()) {
    abort(station, Failure::client_shed);
  } else {
    drop_upstream(station);
    reply_error(station, 408, Failure::client_shed, http::Persistence::close);
  }
}

}  // namespace sluice::proxy
