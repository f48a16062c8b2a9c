// The sections of the configuration file, one reader each. Every reader collects complaints in the
// document and leaves in the config what was right.
#pragma once

#include <memory>
#include <span>

#include "config/document.h"

namespace sluice::config {

// config/auth.cpp; require: config/auth_claims.cpp
void read_auth(Document& document, Config& config, const YAML::Node& node);
void read_revoked(Document& document, Config& config, const YAML::Node& node);
void read_failed_tokens(Document& document, Config& config, const YAML::Node& node);
void read_require(Document& document, Config& config, const YAML::Node& node, Route& route);

// The name of a claim as it stands in the token, or a list: the way to a nested one
// (auth::claim_separator).
[[nodiscard]] std::optional<std::string> read_claim(Document& document, const YAML::Node& node);
// The place of a claim among those that are asked for; nothing if there are too many.
[[nodiscard]] std::optional<uint16_t> claim_index(Document& document, Config& config,
                                                  const YAML::Node& node, const std::string& name);
// A word of letters, digits, '-', '_' and '.': a claim, a field, a cookie.
[[nodiscard]] bool is_token(std::string_view text);

// config/limits.cpp
void read_limits(Document& document, Config& config, const YAML::Node& node);
// address, route, claim:NAME or header:NAME, or a list of them.
[[nodiscard]] std::vector<KeyPart> read_key(Document& document, Config& config,
                                            const YAML::Node& node);
// rate, burst, delay and max_hold, as far as `section` has them.
void read_policy(Document& document, const Section& section, limiter::Policy& policy);
// Warns of routes whose limits may hold a request for longer than its upstream's deadline.
void check_holds(Document& document, const Config& config, const std::vector<YAML::Node>& nodes);
void read_limiter(Document& document, Config& config, const YAML::Node& node);

// config/routes.cpp; after limits, auth and upstreams
struct RouteNames {
  std::vector<std::string> auth;
};
// The same section of several files.
struct Sourced {
  Document* document;
  YAML::Node node;
};
void read_routes(std::span<const Sourced> lists, Config& config, const RouteNames& names);
// A path as requests have it: normal, without a query.
void read_path(Document& document, const YAML::Node& node, std::string& into);
[[nodiscard]] std::optional<std::string> read_host_name(Document& document, const YAML::Node& node);

// config/route_access.cpp
void read_path_rules(Document& document, const YAML::Node& node, PathRules& rules);
// underscores, forwarded and via of a route.
void read_forwarding(Document& document, const Section& section, Route& route);
void read_tracing(Document& document, Config& config, const YAML::Node& node);
// A redirect to where this gateway redirects again, and so on for ever.
void check_circles(Document& document, const Config& config, const std::vector<YAML::Node>& nodes);
// Warns of routes whose paths an endpoint may take for those of a stricter route.
void check_reach(Document& document, const Config& config, const std::vector<YAML::Node>& nodes);

// config/route_actions.cpp
void read_route_actions(Document& document, Config& config, const Section& section, Route& route);

// config/listeners.cpp; once a file
void read_listen(Document& document, Config& config, const YAML::Node& node);

// config/tls.cpp
void read_listener_tls(Document& document, const YAML::Node& node, ListenerConfig& into);
// The value of Strict-Transport-Security; empty: none.
void read_hsts(Document& document, const YAML::Node& node, std::string& into);
// Of an upstream with https:// endpoints; `node` may be undefined.
void read_upstream_tls(Document& document, const YAML::Node& node, UpstreamConfig& upstream);
// After the routes: names of certificates that none of them serves.
void warn_of_names(Document& document, const Config& config, const YAML::Node& listen);

// config/upstreams.cpp
void read_upstreams(Document& document, Config& config, const YAML::Node& node);

// config/reader.cpp; what can't be read is left out, with a complaint in the first.
[[nodiscard]] std::vector<std::unique_ptr<Document>> read_document_and_includes(
    const std::string& path);
[[nodiscard]] std::optional<core::Cidr> read_network(Document& document, const YAML::Node& node);

}  // namespace sluice::config
