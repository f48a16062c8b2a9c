#include "proxy/config.h"

#include <algorithm>

namespace sluice::proxy {

uint16_t Config::add_limit(NamedLimit limit, const limiter::Limit& rule) {
  const auto index = static_cast<uint16_t>(limits.size());
  limit.reason = "limit." + limit.name;
  limit.id = limiter::limit_id(limit.name, rule.kind == limiter::Limit::Kind::bucket ? "rate" : "concurrent");
  limits.push_back(std::move(limit));
  limit_rules.push_back(rule);
  return index;
}

void add_default_routes(Config& config, const limiter::Policy& policy) {
  const uint16_t limit = config.add_limit({.name = "address", .key = {KeyPart{}}}, {.policy = policy});
  config.routes.push_back({.name = "default", .limits_after = {limit}});
}

void complete(Config& config) {
  constexpr uint16_t reading = method_bit(http::Method::get) | method_bit(http::Method::head);
  const auto exact = [](const char* path) { return RouteMatch{.path = path, .path_kind = RouteMatch::Path::exact, .methods = reading}; };
  std::stable_sort(config.routes.begin(), config.routes.end(),
                   [](const Route& a, const Route& b) { return a.match.is_more_specific_than(b.match); });
  std::vector<Route> own;
  own.push_back({.name = "health", .kind = RouteKind::health, .match = exact("/health"), .auth = AuthMode::none});
  own.push_back({.name = "metrics", .kind = RouteKind::metrics, .match = exact("/metrics"), .auth = AuthMode::none});
  if (config.demo_routes == DemoRoutes::on) {
    // Behind the token and the limits of what everything else is behind.
    Route work{.name = "demo_work", .kind = RouteKind::demo_work, .match = exact("/demo/work")};
    if (!config.routes.empty()) {
      work.limits_before = config.routes.back().limits_before;
      work.limits_after = config.routes.back().limits_after;
    }
    own.push_back(std::move(work));
  }
  config.routes.insert(config.routes.begin(), own.begin(), own.end());
}

}  // namespace sluice::proxy
