// Who gives way when a core's room is taken.
#include "proxy/room.h"

#include "proxy/client_address.h"
#include "proxy/reason.h"

namespace sluice::proxy {

namespace {

// Of keys that hold an address and limit nothing.
constexpr uint64_t room_id = 3;
// Refused addresses are logged so often at most; the counter has all of them.
constexpr core::Duration refusal_log_pause = std::chrono::seconds{1};

void log_refused(Station& station, const core::SocketAddress& address, Reason reason) {
  if (station.refusal_logged_at != core::Instant{} &&
      station.now() < station.refusal_logged_at + refusal_log_pause)
    return;
  station.refusal_logged_at = station.now();
  std::array<char, core::SocketAddress::address_text_max> client;
  station.log({.request_id = "-",
               .method = "-",
               .path = "-",
               .reason = reason.code(station.labels),
               .route = "-",
               .client = {client.data(), address.format_address(client.data())},
               .core = station.index});
}

}  // namespace

// IPv6 by /64, which is what one host is given.
Joined join_address(Station& station, const core::SocketAddress& address, Share*& share) {
  const config::Config& config = station.config();
  if (address.is_unix_peer() || is_trusted(config, address)) return Joined::uncounted;
  limiter::KeyHash key = station.ownership.key(room_id);
  key.add(limiter::network_of(address, {}));
  const uint64_t hash = key.claim(0).hash;
  if (station.addresses.connections(hash) >= config.bounds.connections_of_one_address()) {
    station.counters.connections_over_address.add();
    log_refused(station, address, Failure::address_full);
    return Joined::refused;
  }
  share = &station.addresses.join(hash);
  ++share->connections;
  return Joined::counted;
}

void log_failed_handshake(Station& station, const core::SocketAddress& address,
                          tls::Failure failure) {
  if (failure != tls::Failure::none) log_refused(station, address, failure);
}

void disconnect_address(Station& station, Share& share) {
  --share.connections;
  station.addresses.leave(share);
}

// Once half of the places are taken, a key gets another only while it has less than one for each
// so many that are free: the last ones are for keys that have none.
limiter::Holding take_hold_place(Station& station, uint64_t key) {
  constexpr uint64_t free_for_each = 8;
  const uint32_t most = station.config().bounds.held;
  const uint32_t taken = station.hold_places_taken;
  if (taken >= most) return limiter::Holding::full;
  if (2 * taken >= most && station.held.members(key) * free_for_each >= most - taken) {
    station.counters.hold_places_refused.add();
    return limiter::Holding::full;
  }
  ++station.hold_places_taken;
  return limiter::Holding::allowed;
}

void give_hold_place(Station& station, Share* held) {
  --station.hold_places_taken;
  if (held != nullptr) station.held.leave(*held);
}

}  // namespace sluice::proxy
