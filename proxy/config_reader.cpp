#include "proxy/config_reader.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "proxy/config_sections.h"

namespace sluice::proxy {

namespace {

void read_listen(Document& document, Config& config, const YAML::Node& node) {
  const std::vector<YAML::Node> items = document.list(node);
  if (items.size() != 1) {
    document.complain(node, std::to_string(items.size()) + " addresses to listen on; this version has one listener");
    return;
  }
  YAML::Node address = items.front();
  if (address.IsMap()) {
    const Section section{document, address, "listen", {"address", "proxy_protocol"}};
    if (section.has("proxy_protocol")) {
      if (const auto word = document.word(section.get("proxy_protocol"), {"true", "false"}))
        config.proxy_protocol = *word == "true" ? ProxyProtocol::required : ProxyProtocol::off;
    }
    address = section.get("address");
  }
  const auto text = document.text(address, "an address like 0.0.0.0:8000, [::]:8000 or :8000");
  if (!text) return;
  if (const auto parsed = core::SocketAddress::parse(*text)) {
    config.listen = *parsed;
  } else {
    document.complain(address, "\"" + *text + "\" is not an address like 0.0.0.0:8000, [::]:8000 or :8000");
  }
}

void read_workers(Document& document, Config& config, const YAML::Node& node) {
  const Section section{document, node, "workers", {"cores", "steering", "pipes"}};
  section.read("cores", config.cores, "auto or a number", [](const std::string& text) { return parse_cores(text); });
  section.read_number("pipes", config.bounds.pipes, 0, 100'000);
  if (const YAML::Node steering = section.get("steering"); steering.IsDefined()) {
    if (const auto word = document.word(steering, {"auto", "address", "spread"})) {
      config.steering = *word == "auto"      ? limiter::Steering::automatic
                        : *word == "address" ? limiter::Steering::address
                                             : limiter::Steering::spread;
    }
  }
}

void read_trusted(Document& document, Config& config, const YAML::Node& node) {
  for (const YAML::Node& item : document.list(node)) {
    const auto text = document.text(item, "a network like 10.0.0.0/8");
    if (!text) continue;
    if (const auto network = core::Cidr::parse(*text)) {
      config.trusted.push_back(*network);
    } else {
      document.complain(
          item, "\"" + *text +
                    "\" is no network; write for example 10.0.0.0/8, 2001:db8::/32 or a single address, without bits behind the prefix");
    }
  }
}

void read_timeouts(Document& document, Config& config, const YAML::Node& node) {
  const Section section{document, node, "timeouts", {"connect", "head", "body", "idle", "deadline", "tunnel"}};
  section.read_duration("connect", config.timeouts.connect);
  section.read_duration("head", config.timeouts.upstream_head);
  section.read_duration_or_none("body", config.timeouts.upstream_body);
  section.read_duration("idle", config.timeouts.upstream_idle);
  section.read_duration_or_none("deadline", config.timeouts.deadline);
  section.read_duration("tunnel", config.timeouts.tunnel);
}

void read_upstreams(Document& document, Config& config, const YAML::Node& node, std::vector<std::string>& names) {
  for_each_named(document, node, "upstreams", [&](const std::string& name, const YAML::Node& value) {
    if (!names.empty()) document.complain(value, "a second upstream; this version forwards to one");
    names.push_back(name);
    const Section section{document, value, "upstreams." + name, {"endpoints", "timeouts"}};
    if (!section.has("endpoints")) {
      document.complain(value, "upstream " + name + " has no endpoints; write endpoints: [http://127.0.0.1:9001]");
      return;
    }
    const std::vector<YAML::Node> endpoints = document.list(section.get("endpoints"));
    if (endpoints.size() != 1) {
      document.complain(section.get("endpoints"), std::to_string(endpoints.size()) + " endpoints; this version forwards to one");
      return;
    }
    if (auto endpoint = document.value<Endpoint>(endpoints.front(), "a URL like http://127.0.0.1:9001",
                                                 [](const std::string& text) { return parse_endpoint(text); })) {
      config.upstream = std::move(*endpoint);
    }
    if (section.has("timeouts")) read_timeouts(document, config, section.get("timeouts"));
  });
  if (names.empty())
    document.complain(node, "there is no upstream; write for example\n  upstreams:\n    NAME: { endpoints: [http://127.0.0.1:9001] }");
}

Config read_document(Document& document) {
  Config config;
  config.cores = std::get<std::vector<int>>(parse_cores("auto"));
  const Section root{document,
                     document.root(),
                     "the configuration",
                     {"listen", "workers", "trusted", "auth", "revoked", "failed_tokens", "limits", "limiter", "upstreams", "routes", "log",
                      "user", "sandbox"}};
  RouteNames names;
  if (root.has("listen")) read_listen(document, config, root.get("listen"));
  if (root.has("workers")) read_workers(document, config, root.get("workers"));
  if (root.has("trusted")) read_trusted(document, config, root.get("trusted"));
  if (config.proxy_protocol == ProxyProtocol::required && config.trusted.empty()) {
    document.complain(root.get("listen"),
                      "proxy_protocol: true, and nobody is trusted to speak it; write for example trusted: [10.0.0.0/8]");
  }
  if (root.has("auth")) read_auth(document, config, root.get("auth"));
  if (root.has("revoked")) read_revoked(document, config, root.get("revoked"));
  if (root.has("failed_tokens")) read_failed_tokens(document, config, root.get("failed_tokens"));
  for (const AuthConfig& entry : config.auth) names.auth.push_back(entry.provider.name);
  if (root.has("limits")) read_limits(document, config, root.get("limits"));
  if (root.has("limiter")) read_limiter(document, config, root.get("limiter"));
  read_upstreams(document, config, root.get("upstreams"), names.upstreams);
  read_routes(document, config, root.get("routes"), names);
  root.read("log", config.log_path, "a path, - or none", [](const std::string& text) -> Parsed<std::string> { return text; });
  root.read("user", config.user, "a user, or user:group", [](const std::string& text) { return parse_user(text); });
  if (root.has("sandbox")) {
    if (const auto word = document.word(root.get("sandbox"), {"on", "off"})) config.sandbox = *word == "on" ? Sandbox::on : Sandbox::off;
  }
  std::vector<bool> used(config.limits.size());
  for (const Route& route : config.routes) {
    for (const uint16_t limit : route.limits_before) used[limit] = true;
    for (const uint16_t limit : route.limits_after) used[limit] = true;
  }
  for (size_t index = 0; index < used.size(); ++index) {
    if (!used[index]) document.warn(root.get("limits"), "no route uses the limit " + config.limits[index].name);
  }
  return config;
}

}  // namespace

ConfigReading read_config_text(const std::string& name, const std::string& text) {
  Document document{name, text};
  ConfigReading reading;
  if (document.complaints().empty()) {
    Config config = read_document(document);
    complete(config);
    reading.config = std::move(config);
  }
  reading.complaints = document.complaints();
  reading.warnings = document.warnings();
  if (!reading.complaints.empty()) reading.config.reset();
  return reading;
}

ConfigReading read_config(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::ostringstream text;
  if (file) text << file.rdbuf();
  ConfigReading reading;
  if (!file || file.bad() || std::filesystem::is_directory(path)) {
    reading.complaints.push_back(path + ": this file can't be read");
  } else if (text.str().size() > config_bytes_max) {
    reading.complaints.push_back(path + ": larger than 1 MiB; this can't be a configuration");
  } else {
    return read_config_text(path, text.str());
  }
  return reading;
}

}  // namespace sluice::proxy
