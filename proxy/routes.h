// Which requests a route is for, and what becomes of them. The most specific route wins, never the first in the file:
// a whole host before a suffix (the longer before the shorter) before any; then a whole path before a prefix (the longer
// before the shorter); then named methods before all of them. What Sluice answers itself comes before everything.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/provider.h"
#include "auth/token_source.h"
#include "http/message.h"

namespace sluice::proxy {

enum class RouteKind : uint8_t {
  upstream,   // token and limits, then an endpoint
  health,     // GET /health, open to everyone
  metrics,    // GET /metrics, open to everyone
  demo_work,  // GET /demo/work?ms=N, behind token and limits
};

enum class AuthMode : uint8_t {
  none,      // everyone may call
  optional,  // a token is not needed; one that is there must be good
  required,
};

struct RouteMatch {
  enum class Path : uint8_t { prefix, exact };
  std::string host;  // in lower case; "*.example.com" is every name below it; empty: any
  std::string path = "/";
  Path path_kind = Path::prefix;   // by whole segments
  uint16_t methods = all_methods;  // a bit a http::Method
  static constexpr uint16_t all_methods = 0xffff;

  [[nodiscard]] bool operator==(const RouteMatch&) const = default;
  // Whether this one is asked before the other.
  [[nodiscard]] bool is_more_specific_than(const RouteMatch& other) const;
};

[[nodiscard]] constexpr uint16_t method_bit(http::Method method) { return static_cast<uint16_t>(1U << static_cast<unsigned>(method)); }

struct Route {
  std::string name;  // the label in logs and metrics
  RouteKind kind = RouteKind::upstream;
  RouteMatch match;
  AuthMode auth = AuthMode::required;
  auth::ProviderSet providers = 0;                 // whose tokens are good here
  std::vector<auth::TokenSource> sources;          // where those look for them, by complete()
  uint8_t requirement = auth::no_requirement;      // index into Config::requirements
  std::vector<std::string> upgrades{"websocket"};  // protocols that a tunnel may be made for
  std::vector<uint16_t> limits_before;             // indices into Config::limits, by LimitStage
  std::vector<uint16_t> limits_after;
};

inline constexpr uint16_t no_route = UINT16_MAX;

struct Found {
  uint16_t route = no_route;
  uint16_t methods = 0;  // without a route: those that some route of this host and path has
};

// `routes` are sorted. `host` may carry a port, in any case.
[[nodiscard]] Found find_route(std::span<const Route> routes, http::Method method, std::string_view host, std::string_view path);

}  // namespace sluice::proxy
