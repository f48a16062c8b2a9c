// What a completion or a timer of a worker is about: the kind in its token. The slot in the token
// is that of the object named first.
#pragma once

#include <cstdint>

namespace sluice::proxy {

// Those of a channel stand in the order of Channel::Op, for either side.
enum class Operation : uint8_t {
  none,  // the kernel seam's own
  accept,
  downstream_receive,
  downstream_send,
  downstream_watch,
  downstream_readable,
  downstream_writable,
  downstream_connect,  // never: clients connect
  upstream_receive,
  upstream_send,
  upstream_watch,  // never: a receive stays armed
  upstream_readable,
  upstream_writable,
  upstream_connect,
  downstream_timer,
  upstream_timer,
  exchange_timer,
  stream_timer,  // of an exchange: what its client is waited for
  accept_timer,
};

// Whose connection it is.
enum class Side : uint8_t { downstream, upstream };

[[nodiscard]] constexpr Operation first_operation(Side side) {
  return side == Side::downstream ? Operation::downstream_receive : Operation::upstream_receive;
}

}  // namespace sluice::proxy
