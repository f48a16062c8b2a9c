#include "proxy/routes.h"

#include "core/assert.h"

namespace sluice::proxy {

std::string_view to_string(RouteKind route) {
  switch (route) {
    case RouteKind::none: return "-";
    case RouteKind::upstream: return "default";
    case RouteKind::health: return "health";
    case RouteKind::metrics: return "metrics";
    case RouteKind::demo_work: return "demo_work";
  }
  SLUICE_UNREACHABLE();
}

RouteKind find_route(const Config& config, std::string_view path) {
  if (path == "/health") return RouteKind::health;
  if (path == "/metrics") return RouteKind::metrics;
  if (config.demo_routes == DemoRoutes::on && path == "/demo/work") return RouteKind::demo_work;
  return RouteKind::upstream;
}

}  // namespace sluice::proxy
