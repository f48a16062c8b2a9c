// Where a request goes: one of Sluice's own routes, or the upstream.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/config.h"

namespace sluice::proxy {

enum class RouteKind : uint8_t {
  none,       // no head was understood
  upstream,   // everything else: token and limit, then the endpoint
  health,     // GET /health, open to everyone
  metrics,    // GET /metrics, open to everyone
  demo_work,  // GET /demo/work?ms=N, behind token and limit
};
inline constexpr unsigned route_kinds = 5;

[[nodiscard]] std::string_view to_string(RouteKind route);  // the label in logs and metrics
[[nodiscard]] RouteKind find_route(const Config& config, std::string_view path);

}  // namespace sluice::proxy
