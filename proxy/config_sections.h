// The sections of the configuration file, one reader each. Every reader collects complaints in the document and leaves in
// the config what was right.
#pragma once

#include "proxy/config_document.h"
#include "proxy/local_reply.h"

namespace sluice::proxy {

// A reason has eight bits for the number of a limit.
inline constexpr size_t limits_max = 250;

// config_auth.cpp
void read_auth(Document& document, Config& config, const YAML::Node& node);
void read_revoked(Document& document, Config& config, const YAML::Node& node);
void read_failed_tokens(Document& document, Config& config, const YAML::Node& node);
void read_require(Document& document, Config& config, const YAML::Node& node, Route& route);

// The place of a claim among those that are asked for; nothing if there are too many.
[[nodiscard]] std::optional<uint16_t> claim_index(Document& document, Config& config, const YAML::Node& node, const std::string& name);
// A word of letters, digits, '-', '_' and '.': a claim, a field, a cookie.
[[nodiscard]] bool is_token(std::string_view text);

// config_limits.cpp
void read_limits(Document& document, Config& config, const YAML::Node& node);
// rate, burst, delay and max_hold, as far as `section` has them.
void read_policy(Document& document, const Section& section, limiter::Policy& policy);
void read_limiter(Document& document, Config& config, const YAML::Node& node);

// config_routes.cpp; after limits, auth and upstreams
struct RouteNames {
  std::vector<std::string> auth;
  std::vector<std::string> upstreams;
};
void read_routes(Document& document, Config& config, const YAML::Node& node, const RouteNames& names);

}  // namespace sluice::proxy
