// Fills in what follows from the rest: numbers of limits, labels, default routes.
#include "config/config.h"

#include <xxhash.h>

#include <algorithm>
#include <chrono>

#include "config/route_table.h"

namespace sluice::config {

namespace {

// draft-ietf-httpapi-ratelimit-headers-10, 3: the quota of a bucket is what may come at once, and
// its window the time in which all of that is there again.
std::string policy_field(const std::string& name, const limiter::Limit& rule) {
  const std::string begin = '"' + name + "\";q=";
  if (rule.kind == limiter::Limit::Kind::concurrency)
    return begin + std::to_string(rule.concurrent) + ";qu=\"concurrent-requests\"";
  const uint64_t quota = uint64_t{rule.policy.burst} + 1;
  const auto window =
      std::chrono::ceil<std::chrono::seconds>(limiter::hold_time(rule.policy, quota));
  return begin + std::to_string(quota) + ";w=" + std::to_string(window.count());
}

}  // namespace

uint16_t Config::add_limit(NamedLimit limit, const limiter::Limit& rule) {
  const auto index = static_cast<uint16_t>(limits.size());
  limit.reason = "limit." + limit.name;
  limit.policy = policy_field(limit.name, rule);
  limit.number = index;
  // Another key is another limit, whatever its name.
  std::string counts = rule.kind == limiter::Limit::Kind::bucket ? "rate" : "concurrent";
  for (const KeyPart& part : limit.key) {
    counts += '|' + std::to_string(static_cast<unsigned>(part.kind)) + part.name;
    if (part.kind == KeyPart::Kind::claim) counts += claims[part.claim];
  }
  limit.id = limiter::limit_id(limit.name, counts);
  limits.push_back(std::move(limit));
  limit_rules.push_back(rule);
  return index;
}

void add_upstream(Config& config, const std::string& name, const core::Destination& destination,
                  const std::string& authority) {
  config.upstreams.push_back(
      {.name = name, .endpoints = {{.authority = authority, .destination = destination}}});
}

void add_secret_auth(Config& config, const std::string& name, const std::string& secret) {
  AuthConfig entry;
  entry.provider.name = name;
  for (const auth::Algorithm algorithm : entry.provider.algorithms)
    entry.fixed_keys.push_back(auth::make_secret_key(algorithm, secret));
  config.auth.push_back(std::move(entry));
}

void add_default_routes(Config& config, const limiter::Policy& policy) {
  const uint16_t limit =
      config.add_limit({.name = "address", .key = {KeyPart{}}}, {.policy = policy});
  config.routes.push_back({.name = "default", .providers = 1, .limits_after = {limit}});
}

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void complete_cors(Cors& cors) {
  cors.allowed = joined(cors.headers);
  std::vector<std::string> exposed{"Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"};
  exposed.insert(exposed.end(), cors.expose.begin(), cors.expose.end());
  cors.exposed = joined(exposed);
  cors.max_age_s =
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(cors.max_age).count());
}

}  // namespace

// Names listeners for those whose connections outlive them, and says where a request is sent that
// came without TLS: to the first listener that speaks it.
void complete_listeners(Config& config) {
  uint16_t port = 443;
  for (const ListenerConfig& one : config.listeners) {
    if (one.tls == nullptr || one.address.is_unix()) continue;
    port = one.address.port();
    break;
  }
  for (ListenerConfig& one : config.listeners) {
    const std::string address = one.address.text();
    one.id = static_cast<uint32_t>(XXH3_64bits(address.data(), address.size()));
    if (one.https == HttpsRedirect::on && one.https_port == 0) one.https_port = port;
  }
}

void complete(Config& config) {
  constexpr uint16_t reading = method_bit(http::Method::get) | method_bit(http::Method::head);
  const auto exact = [](const char* path) {
    return RouteMatch{.path = path, .path_kind = RouteMatch::Path::exact, .methods = reading};
  };
  std::stable_sort(config.routes.begin(), config.routes.end(), [](const Route& a, const Route& b) {
    return RouteTable::comes_before(a.match, b.match);
  });
  std::vector<Route> own;
  own.push_back({.name = "health",
                 .kind = RouteKind::health,
                 .match = exact("/health"),
                 .auth = AuthMode::none});
  own.push_back({.name = "metrics",
                 .kind = RouteKind::metrics,
                 .match = exact("/metrics"),
                 .auth = AuthMode::none});
  if (config.demo_routes == DemoRoutes::on) {
    // Behind the token and the limits of what everything else is behind.
    Route work{.name = "demo_work", .kind = RouteKind::demo_work, .match = exact("/demo/work")};
    if (!config.routes.empty()) {
      work.auth = config.routes.back().auth;
      work.providers = config.routes.back().providers;
      work.limits_before = config.routes.back().limits_before;
      work.limits_after = config.routes.back().limits_after;
    }
    own.push_back(std::move(work));
  }
  config.routes.insert(config.routes.begin(), own.begin(), own.end());
  complete_listeners(config);
  // One upstream has nobody to leave room for.
  const uint32_t share = config.upstreams.size() == 1 ? 100 : 50;
  for (UpstreamConfig& upstream : config.upstreams) {
    if (upstream.share_percent == 0) upstream.share_percent = share;
  }
  config.providers.clear();
  for (const AuthConfig& entry : config.auth) config.providers.push_back(entry.provider);
  for (Route& route : config.routes) {
    if (route.cors) complete_cors(*route.cors);
    route.to.weights = 0;
    if (route.kind == RouteKind::upstream && route.to.parts.empty()) route.to.parts.push_back({});
    route.deadline = core::Duration{0};
    for (const TrafficSplit::Part& part : route.to.parts) {
      route.to.weights += part.weight;
      if (part.upstream >= config.upstreams.size()) continue;
      const core::Duration deadline = config.upstreams[part.upstream].timeouts.deadline;
      const bool is_shorter = route.deadline == core::Duration{0} || deadline < route.deadline;
      if (deadline > core::Duration{0} && is_shorter) route.deadline = deadline;
    }
    route.sources.clear();
    for (size_t index = 0; index < config.auth.size(); ++index) {
      if ((route.providers >> index & 1) == 0) continue;
      for (const auth::TokenSource& source : config.auth[index].sources) {
        if (std::find(route.sources.begin(), route.sources.end(), source) == route.sources.end())
          route.sources.push_back(source);
      }
    }
  }
}

}  // namespace sluice::config
