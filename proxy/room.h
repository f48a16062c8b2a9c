// Who has how much of a worker's room: connections of one address, and places for requests that are
// held. What is shared is in the station.
#pragma once

#include <cstdint>

#include "core/address.h"
#include "proxy/station.h"

namespace sluice::proxy {

enum class Joined : uint8_t { counted, uncounted, refused };
// One more connection of this address; `share` is what it has of the room then.
[[nodiscard]] Joined join_address(Station& station, const core::SocketAddress& address,
                                  Share*& share);
void disconnect_address(Station& station, Share& share);

// A line in the log, one a second at most: there are as many as somebody likes to send.
void log_failed_handshake(Station& station, const core::SocketAddress& address,
                          tls::Failure failure);

// A place for a request that may have to be held: as many as Bounds::held, and of them no key has
// so many that others find none. `station.held` knows those that are.
[[nodiscard]] limiter::Holding take_hold_place(Station& station, uint64_t key);
// `held` is nullptr for one that was not held after all.
void give_hold_place(Station& station, Share* held);

}  // namespace sluice::proxy
