// A request in its exchange, as all that is done for it sees it: what was asked, by whom, by which
// configuration it is judged, and what will be said of it. Plain data of the exchange.
#pragma once

#include <cstdint>

#include "auth/authenticator.h"
#include "config/config.h"
#include "proxy/core_generation.h"
#include "proxy/exchange/record.h"
#include "proxy/http1_stream.h"

namespace sluice::proxy {

struct RequestContext {
  Http1Stream stream;
  CoreGeneration* generation = nullptr;  // until the answer has begun
  Share* share = nullptr;                // of the client's address; nullptr: it is not counted
  uint16_t route_index = config::no_route;
  http::Trust trust = http::Trust::none;
  core::SocketAddress client;
  auth::Attempt token;
  Record record;

  [[nodiscard]] const config::Config& config() const { return generation->config(); }
  [[nodiscard]] bool has_route() const { return route_index != config::no_route; }
  [[nodiscard]] const config::Route& route() const { return config().routes[route_index]; }
  [[nodiscard]] http::RequestHead& request() { return stream.request(); }
  [[nodiscard]] const http::RequestHead& request() const { return stream.request(); }
};

}  // namespace sluice::proxy
