// Who the client is: the peer of the connection, unless that is a proxy which the configuration
// trusts. Then it is the last address in X-Forwarded-For that is not trusted itself: what stands
// before it, anybody may have written.
#pragma once

#include "core/address.h"
#include "http/field.h"

namespace sluice::config {
struct Config;
}

namespace sluice::proxy {

[[nodiscard]] bool is_trusted(const config::Config& config, const core::SocketAddress& address);
// An entry that is no address ends the search: the client is then the last hop that is known.
[[nodiscard]] core::SocketAddress client_address(const config::Config& config,
                                                 const core::SocketAddress& peer,
                                                 const http::Fields& fields);

}  // namespace sluice::proxy
