// The sections of the configuration file, one reader each. Every reader collects complaints in the document and leaves in
// the config what was right.
#pragma once

#include "proxy/config_document.h"
#include "proxy/local_reply.h"

namespace sluice::proxy {

// A reason has eight bits for the number of a limit.
inline constexpr size_t limits_max = 250;

// config_limits.cpp
void read_limits(Document& document, Config& config, const YAML::Node& node);
void read_limiter(Document& document, Config& config, const YAML::Node& node);

// config_routes.cpp; after limits, auth and upstreams
struct RouteNames {
  std::vector<std::string> auth;
  std::vector<std::string> upstreams;
};
void read_routes(Document& document, Config& config, const YAML::Node& node, const RouteNames& names);

}  // namespace sluice::proxy
