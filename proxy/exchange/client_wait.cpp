// Requests that wait for their clients, and who of them gives way when a worker's room is taken.
#include "proxy/exchange/exchange.h"

namespace sluice::proxy {

namespace {

// Nobody goes who was heard of in this time.
constexpr core::Duration stall_min = std::chrono::seconds{1};

uint32_t exchanges_of(const Share* share, uint32_t unknown) {
  return share == nullptr ? unknown : share->exchanges;
}

}  // namespace

void Exchange::expect_of_client(Station& station, core::Duration timeout) {
  if (stream().is_http2())
    stream().http2().expect_within(station, timeout);
  else
    stream().connection().expect_within(station, timeout);
  begin_waiting_for_client(station);
}

void Exchange::begin_waiting_for_client(Station& station) {
  stop_waiting_for_client();
  client_wait_.since = station.now();
  if (state_ == State::discarding)
    station.answered.push_back(client_wait_);
  else
    (attempt_.place() != nullptr ? attempt_.place()->stalled() : station.stalled)
        .push_back(client_wait_);
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
  if (exchanges_of(longest->share, UINT32_MAX) > exchanges_of(for_this.context_.share, 0))
    longest->exchange->shed(station);
}

// What waits for its client has nothing that others could not use.
void Exchange::shed(Station& station) {
  station.counters.exchanges_shed.add();
  if (state_ == State::discarding) {  // it has its answer
    finish(station, Afterwards::linger);
  } else if (stream().has_answer_begun() || stream().is_sending()) {
    abort(station, Failure::client_shed);
  } else {
    drop_upstream(station);
    reply_error(station, 408, Failure::client_shed, http::Persistence::close);
  }
}

}  // namespace sluice::proxy
