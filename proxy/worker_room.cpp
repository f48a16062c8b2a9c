// Who gives way when a worker's room is taken: addresses that have much of it, heads that are not
// whole, requests that only wait for their clients.
#include "proxy/client_address.h"
#include "proxy/worker.h"

namespace sluice::proxy {

namespace {

// Of keys that hold an address and limit nothing.
constexpr uint64_t room_id = 3;
// Nobody goes who was heard of in this time.
constexpr core::Duration stall_min = std::chrono::seconds{1};
// Refused addresses are logged so often at most; the counter has all of them.
constexpr core::Duration refusal_log_pause = std::chrono::seconds{1};

uint32_t exchanges_of(const Exchange& exchange, uint32_t unknown) {
  return exchange.share() == nullptr ? unknown : exchange.share()->exchanges;
}

}  // namespace

// IPv6 by /64, which is what one host is given.
Worker::Joined Worker::join_address(const core::SocketAddress& address, Share*& share) {
  if (address.is_unix_peer() || is_trusted(config(), address)) return Joined::uncounted;
  limiter::KeyHash key = ownership_.key(room_id);
  key.add(limiter::network_of(address, {}));
  const uint64_t hash = key.claim(0).hash;
  if (addresses_.connections(hash) >= config().bounds.connections_of_one_address()) {
    counters_.connections_over_address.add();
    log_refused_address(address);
    return Joined::refused;
  }
  share = &addresses_.join(hash);
  ++share->connections;
  return Joined::counted;
}

void Worker::log_refused_address(const core::SocketAddress& address) {
  if (refusal_logged_at_ != core::Instant{} && now() < refusal_logged_at_ + refusal_log_pause)
    return;
  refusal_logged_at_ = now();
  std::array<char, core::SocketAddress::address_text_max> client;
  log({.request_id = "-",
       .method = "-",
       .path = "-",
       .reason = Reason{Failure::address_full}.code(labels()),
       .route = "-",
       .client = {client.data(), address.format_address(client.data())},
       .core = index()});
}

// Once half of the places are taken, a key gets another only while it has less than one for each
// so many that are free: the last ones are for keys that have none.
limiter::Holding Worker::take_hold_place(uint64_t key) {
  constexpr uint64_t free_for_each = 8;
  const uint32_t most = config().bounds.held;
  if (hold_places_taken_ >= most) return limiter::Holding::full;
  if (2 * hold_places_taken_ >= most &&
      held_.members(key) * free_for_each >= most - hold_places_taken_) {
    counters_.hold_places_refused.add();
    return limiter::Holding::full;
  }
  ++hold_places_taken_;
  return limiter::Holding::allowed;
}

// --- half heads ------------------------------------------------------------------------------

void Worker::begin_gathering(DownstreamConnection& connection) {
  gathering_.push_back(connection);
  counters_.heads_gathering.add();
  if (counters_.heads_gathering.get() > config().bounds.half_heads())
    gathering_.front()->shed_head(*this);
}

void Worker::end_gathering(DownstreamConnection& connection) {
  core::IntrusiveList<DownstreamConnection, IdleTag>::remove(connection);
  counters_.heads_gathering.subtract();
}

// --- requests that wait for their clients ----------------------------------------------------

void Worker::begin_waiting_for_client(Exchange& exchange) {
  exchange.stop_waiting_for_client();
  exchange.note_waiting_since(now());
  if (exchange.state() == Exchange::State::discarding)
    answered_.push_back(exchange);
  else
    (exchange.place() != nullptr ? exchange.place()->stalled() : stalled_).push_back(exchange);
}

// Those that have their answers take nobody's place, but a buffer.
void Worker::make_room_for(const Exchange& exchange) {
  if (exchanges_.taken() > config().bounds.exchanges && !answered_.empty())
    answered_.front()->shed(*this);
  if (is_overloaded()) shed_stalled(stalled_, exchange);
}

void Worker::shed_stalled(core::IntrusiveList<Exchange, ClientWaitTag>& waiting,
                          const Exchange& for_this) {
  Exchange* oldest = waiting.front();
  if (oldest == nullptr || oldest == &for_this || oldest->waiting_since() + stall_min > now())
    return;
  if (exchanges_of(*oldest, UINT32_MAX) > exchanges_of(for_this, 0)) oldest->shed(*this);
}

}  // namespace sluice::proxy
