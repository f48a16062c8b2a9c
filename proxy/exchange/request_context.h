// A request in its exchange, as all that is done for it sees it: what was asked, by whom, by which
// configuration it is judged, and what will be said of it. Plain data of the exchange.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "auth/authenticator.h"
#include "config/config.h"
#include "proxy/client_stream.h"
#include "proxy/core_generation.h"
#include "proxy/exchange/record.h"
#include "proxy/limit_fields.h"

namespace sluice::proxy {

struct RequestContext {
  ClientStream stream;
  CoreGeneration* generation = nullptr;  // until the answer has begun
  Share* share = nullptr;                // of the client's address; nullptr: it is not counted
  uint16_t route_index = config::no_route;
  http::Trust trust = http::Trust::none;
  core::SocketAddress client;
  std::array<char, core::SocketAddress::address_text_max> client_text_memory;
  uint8_t client_text_size = 0;  // 0: not written yet
  auth::Attempt token;
  LimitFields limit_fields;
  Record record;

  [[nodiscard]] const config::Config& config() const { return generation->config(); }
  [[nodiscard]] bool has_route() const { return route_index != config::no_route; }
  [[nodiscard]] const config::Route& route() const { return config().routes[route_index]; }
  [[nodiscard]] http::RequestHead& request() { return stream.request(); }
  [[nodiscard]] const http::RequestHead& request() const { return stream.request(); }
  // The client's address, once it is known for good; written once.
  [[nodiscard]] std::string_view client_text() {
    if (client_text_size == 0)
      client_text_size = static_cast<uint8_t>(client.format_address(client_text_memory.data()));
    return {client_text_memory.data(), client_text_size};
  }
};

}  // namespace sluice::proxy
