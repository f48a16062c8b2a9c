// The configuration: immutable once the gateway runs, shared by all cores. Defaults are those of the README's table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/clock.h"
#include "limiter/rate.h"

namespace sluice::proxy {

struct Timeouts {
  core::Duration head = std::chrono::seconds{10};   // request head, from its first byte
  core::Duration idle = std::chrono::seconds{75};   // downstream, between requests
  core::Duration body = std::chrono::seconds{60};   // without a byte from the client
  core::Duration write = std::chrono::seconds{60};  // without a byte taken by the client
  core::Duration connect = std::chrono::seconds{3};
  core::Duration upstream_head = std::chrono::seconds{60};  // from the last request byte to the response head
  core::Duration upstream_body = std::chrono::seconds{60};  // between bytes of a response
  core::Duration deadline = std::chrono::seconds{120};      // from the last request byte to the response head, all tries
  core::Duration upstream_idle = std::chrono::seconds{60};
  core::Duration linger = std::chrono::seconds{2};
  core::Duration drain = std::chrono::seconds{30};
};

// Per core; everything that is bounded by them is taken at start.
struct Bounds {
  uint32_t connections = 8192;
  uint32_t exchanges = 2048;  // requests at once; each may hold a buffer a direction
  uint32_t upstream_connections = 1024;
  uint32_t upstream_waiting = 1024;  // exchanges that queue for a connection
  uint32_t held = 1024;              // exchanges that are shaped
  uint32_t offload_jobs = 64;
  uint32_t limiter_keys = 500'000;
  uint32_t token_cache_entries = 4096;
  uint32_t log_ring_bytes = 1 << 20;
  uint32_t requests_per_connection = 10'000;
  uint64_t request_body_bytes = 16 << 20;
  uint64_t discard_bytes = 256 << 10;  // of a body that nobody wants, before the connection is closed instead
};

struct Endpoint {
  core::SocketAddress address;
  std::string authority;  // "127.0.0.1:9001"
};

// GET /demo/work: whether the route exists.
enum class DemoRoutes : uint8_t { off, on };

struct Config {
  core::SocketAddress listen = core::SocketAddress::ipv4(0, 8000);
  Endpoint upstream;
  std::string jwt_secret;
  limiter::Policy limit{.rate = {.requests = 1, .period_ns = 100'000'000}, .burst = 5, .delay = 0};
  std::vector<int> cores;  // one worker each, pinned
  std::string log_path = "-";
  DemoRoutes demo_routes = DemoRoutes::off;
  Timeouts timeouts;
  Bounds bounds;
};

}  // namespace sluice::proxy
