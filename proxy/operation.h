// What a completion or a timer of a worker is about: the kind in its token. The slot in the token
// is that of the object named first.
#pragma once

#include <cstdint>

namespace sluice::proxy {

enum class Operation : uint8_t {
  none,  // the kernel seam's own
  accept,
  downstream_receive,
  downstream_send,
  downstream_watch,
  downstream_readable,
  downstream_writable,
  downstream_timer,
  upstream_connect,
  upstream_receive,
  upstream_send,
  upstream_readable,
  upstream_writable,
  upstream_timer,
  exchange_timer,
  accept_timer,
};

}  // namespace sluice::proxy
