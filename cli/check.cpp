// sluice check, sluice config: judge a configuration file, and say what it means.
#include <fmt/core.h>

#include "cli/commands.h"
#include "config/environment.h"
#include "config/reader.h"
#include "config/schema.h"
#include "gateway/gateway.h"
#include "gateway/resolver.h"
#include "gateway/service.h"

namespace sluice::cli {

namespace {

std::string key_in_words(const config::Config& config, const config::NamedLimit& limit) {
  std::string text;
  for (const config::KeyPart& part : limit.key) {
    if (!text.empty()) text += " and ";
    switch (part.kind) {
      case config::KeyPart::Kind::address: text += "client address"; break;
      case config::KeyPart::Kind::route: text += "route"; break;
      case config::KeyPart::Kind::claim: text += "claim " + config.claims[part.claim]; break;
      case config::KeyPart::Kind::header: text += "header " + part.name; break;
    }
  }
  return text;
}

std::string route_in_words(const config::Config& config, const config::Route& route) {
  std::string text = route.auth == config::AuthMode::none       ? "no token"
                     : route.auth == config::AuthMode::optional ? "token optional"
                                                                : "token required";
  for (const auto& list : {route.limits_before, route.limits_after}) {
    for (const uint16_t limit : list) text += ", " + config.limits[limit].reason;
  }
  return text;
}

std::string what_in_words(const config::Config& config, const config::Route& route) {
  switch (route.kind) {
    case config::RouteKind::upstream: {
      std::string text;
      for (const config::TrafficSplit::Part& part : route.to.parts) {
        text += (text.empty() ? "" : " or ") + config.upstreams[part.upstream].name;
        if (route.to.parts.size() > 1)
          text +=
              " (" + std::to_string(part.weight) + " of " + std::to_string(route.to.weights) + ")";
      }
      return "to " + text + ", " + route_in_words(config, route);
    }
    case config::RouteKind::redirect:
      return std::to_string(route.redirect.status) + " to " + route.redirect.to + ", " +
             route_in_words(config, route);
    case config::RouteKind::respond:
      return "answers " + std::to_string(route.respond.status) + ", " +
             route_in_words(config, route);
    case config::RouteKind::health:
    case config::RouteKind::metrics:
    case config::RouteKind::demo_work: break;
  }
  return "answered by Sluice";
}

}  // namespace

int check_command(const std::string& path, Resolving resolving, Secrets secrets) {
  if (secrets == Secrets::not_needed) config::stand_in_for_missing_secrets();
  config::ConfigReading reading = config::read_config(path);
  if (reading.config && resolving == Resolving::yes) {
    reading.complaints = gateway::resolve_endpoints(
        *reading.config,
        gateway::resolve_names(gateway::names_of(*reading.config), reading.config->resolver));
    if (!reading.complaints.empty()) reading.config.reset();
  }
  for (const std::string& complaint : reading.complaints) gateway::say(complaint);
  for (const std::string& warning : reading.warnings) gateway::say("warning: " + warning);
  if (!reading.config) return gateway::exit_usage;
  const config::Config& config = *reading.config;
  fmt::print("{} is good.\n\n", path);
  for (const config::ListenerConfig& listener : config.listeners)
    fmt::print("listen {}\n", listener.address.text());
  for (const config::UpstreamConfig& upstream : config.upstreams) {
    fmt::print("upstream {}:", upstream.name);
    for (const config::EndpointConfig& endpoint : upstream.endpoints) {
      const bool is_known = endpoint.host.empty() || endpoint.destination.size() != 0;
      const std::string at = is_known ? endpoint.destination.text() : "to be resolved";
      fmt::print(" {}{}", endpoint.authority, at == endpoint.authority ? "" : " (" + at + ")");
    }
    fmt::print("\n");
  }
  fmt::print("\n");
  for (size_t index = 0; index < config.limits.size(); ++index) {
    const config::NamedLimit& limit = config.limits[index];
    fmt::print("limit {}: {}, by {}, {} the token is checked\n", limit.name,
               config::in_words(config.limit_rules[index]), key_in_words(config, limit),
               limit.stage == config::LimitStage::before_auth ? "before" : "after");
  }
  fmt::print("\nRoutes; the most specific one that fits gets a request:\n");
  for (const config::Route& route : config.routes) {
    const std::string what = what_in_words(config, route);
    fmt::print("  {:<32} {}\n", route.name, what);
  }
  return gateway::exit_clean;
}

int config_command(const RunFlags& flags, Showing showing) {
  if (showing == Showing::schema) {
    fmt::print("{}", config::config_schema());
    return gateway::exit_clean;
  }
  if (flags.config.empty()) {
    gateway::say("write --config FILE, whose values are to be shown; or --schema");
    return gateway::exit_usage;
  }
  std::vector<config::Override> overrides;
  const auto add = [&](const char* path, const char* flag, const std::string& value) {
    if (!value.empty()) overrides.push_back({path, value, flag});
  };
  add("listen", "--listen", flags.listen);
  add("log", "--log", flags.log);
  add("control", "--control", flags.control);
  add("user", "--user", flags.user);
  add("sandbox", "--sandbox", flags.sandbox);
  add("workers.cores", "--cores", flags.cores);
  const auto text = config::effective_config(flags.config, overrides);
  if (const auto* complaint = std::get_if<config::Complaint>(&text)) {
    gateway::say(complaint->text);
    return gateway::exit_usage;
  }
  fmt::print("{}", std::get<std::string>(text));
  return gateway::exit_clean;
}

}  // namespace sluice::cli
