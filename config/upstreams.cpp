// upstreams: of the configuration file.
#include <algorithm>

#include "config/sections.h"

namespace sluice::config {

namespace {

void read_timeouts(Document& document, UpstreamTimeouts& timeouts, const YAML::Node& node) {
  const Section section{
      document, node, "timeouts", {"connect", "head", "body", "idle", "deadline", "tunnel"}};
  section.read_duration("connect", timeouts.connect);
  section.read_duration("head", timeouts.head);
  section.read_duration_or_none("body", timeouts.body);
  section.read_duration_or_none("idle", timeouts.idle);
  section.read_duration_or_none("deadline", timeouts.deadline);
  section.read_duration("tunnel", timeouts.tunnel);
}

// "http://10.0.0.1:9001", or { url: ..., weight: 2, drain: true }
void read_endpoint(Document& document, UpstreamConfig& upstream, const YAML::Node& node) {
  YAML::Node url = node;
  uint32_t weight = 1;
  bool drains = false;
  if (node.IsMap()) {
    const Section section{document, node, "an endpoint", {"url", "weight", "drain"}};
    if (!section.has("url")) {
      document.complain(
          node,
          "an endpoint without url: write for example { url: http://127.0.0.1:9001, weight: 2 }");
      return;
    }
    url.reset(section.get("url"));
    section.read_number("weight", weight, 1, endpoint_weight_max);
    section.read_switch("drain", drains);
  }
  auto endpoint =
      document.value<EndpointConfig>(url, "a URL like http://127.0.0.1:9001", parse_endpoint);
  if (!endpoint) return;
  const auto is_same = [&](const EndpointConfig& other) {
    return other.authority == endpoint->authority && other.port == endpoint->port &&
           other.destination == endpoint->destination;
  };
  if (std::any_of(upstream.endpoints.begin(), upstream.endpoints.end(), is_same)) {
    document.complain(
        url, "this endpoint is here twice; write weight: for one that gets more than others");
    return;
  }
  endpoint->weight = weight;
  endpoint->use = drains ? EndpointUse::draining : EndpointUse::serving;
  endpoint->place = document.place(url) + ": ";
  upstream.endpoints.push_back(std::move(*endpoint));
}

void read_status_range(Document& document, const Section& section, HealthCheck& health) {
  if (!section.has("status")) return;
  const auto text =
      document.text(section.get("status"), "a status like 200, or a range like 200-399");
  if (!text) return;
  const auto dash = text->find('-');
  const auto least = parse_number(text->substr(0, dash), 100, 599);
  const auto most =
      dash == std::string::npos ? least : parse_number(text->substr(dash + 1), 100, 599);
  if (std::holds_alternative<Complaint>(least) || std::holds_alternative<Complaint>(most) ||
      std::get<uint64_t>(least) > std::get<uint64_t>(most)) {
    document.complain(section.get("status"),
                      "\"" + *text + "\" is no status like 200, and no range like 200-399");
    return;
  }
  health.status_min = static_cast<uint16_t>(std::get<uint64_t>(least));
  health.status_max = static_cast<uint16_t>(std::get<uint64_t>(most));
}

void read_health(Document& document, HealthCheck& health, const YAML::Node& node) {
  const Section section{
      document,
      node,
      "health",
      {"path", "host", "interval", "timeout", "down_after", "up_after", "status"}};
  if (!section.has("path")) {
    document.complain(node, "health without path: write for example health: { path: /health }");
    return;
  }
  if (const auto path = document.text(section.get("path"), "a path like /health")) {
    const bool is_plain =
        path->starts_with('/') && path->find_first_of(" \t\r\n#") == std::string::npos;
    if (is_plain) health.path = *path;
    if (!is_plain)
      document.complain(section.get("path"),
                        "\"" + *path + "\" is no path; write for example /health");
  }
  if (section.has("host")) {
    if (const auto host = read_host_name(document, section.get("host"))) health.host = *host;
  }
  section.read_duration("interval", health.interval);
  section.read_duration("timeout", health.timeout);
  section.read_number("down_after", health.down_after, 1, 100);
  section.read_number("up_after", health.up_after, 1, 100);
  read_status_range(document, section, health);
}

void read_ejection(Document& document, Ejection& ejection, const YAML::Node& node) {
  if (node.IsScalar() && node.Scalar() == "none") {
    ejection.failures = 0;
    return;
  }
  const Section section{document, node, "eject", {"after", "time", "time_max"}};
  section.read_number("after", ejection.failures, 1, 1000);
  section.read_duration("time", ejection.time);
  section.read_duration("time_max", ejection.time_max);
}

void read_circuit(Document& document, Circuit& circuit, const YAML::Node& node) {
  const Section section{
      document, node, "circuit", {"failures", "requests", "window", "open", "probes"}};
  if (!section.has("failures")) {
    document.complain(node,
                      "circuit without failures: write for example circuit: { failures: 50% }");
    return;
  }
  section.read_percent("failures", circuit.failure_percent, 1, 100);
  section.read_number("requests", circuit.requests_min, 1, 1'000'000);
  section.read_duration("window", circuit.window);
  section.read_duration("open", circuit.open_time);
  section.read_number("probes", circuit.probes, 1, 1000);
}

void read_balance(Document& document, Config& config, const Section& section,
                  UpstreamConfig& upstream) {
  if (!section.has("balance")) return;
  const YAML::Node node = section.get("balance");
  if (node.IsMap()) {
    const Section hash{document, node, "balance", {"hash"}};
    upstream.balance = Balance::hash;
    if (hash.has("hash")) upstream.hash_key = read_key(document, config, hash.get("hash"));
    if (!hash.has("hash"))
      document.complain(
          node, "write balance: { hash: header:X-User }, or a word: round_robin or least_requests");
    return;
  }
  if (node.IsScalar() && node.Scalar() == "hash") {
    document.complain(node,
                      "hash needs a key: write balance: { hash: address }, or claim:NAME, "
                      "header:NAME, or a list of them");
    return;
  }
  if (const auto word = document.word(node, {"round_robin", "least_requests", "hash"}))
    upstream.balance = *word == "round_robin" ? Balance::round_robin : Balance::least_requests;
}

void read_retries(Document& document, UpstreamConfig& upstream, const YAML::Node& node) {
  if (node.IsScalar()) {
    const auto number = document.value<uint64_t>(
        node, "a whole number",
        [](const std::string& text) { return parse_number(text, 0, retries_max); });
    if (number) upstream.retries = static_cast<uint32_t>(*number);
    return;
  }
  const Section section{document, node, "retries", {"most", "budget"}};
  section.read_number("most", upstream.retries, 0, retries_max);
  section.read_percent("budget", upstream.retry_percent, 0, 100);
}

void read_queue(Document& document, UpstreamConfig& upstream, const YAML::Node& node) {
  const Section section{document, node, "queue", {"length", "wait"}};
  section.read_number("length", upstream.queue, 0, 100'000);
  section.read_duration("wait", upstream.queue_wait);
}

void warn_of_upstream(Document& document, const YAML::Node& node, const UpstreamConfig& upstream) {
  const auto serves = [](const EndpointConfig& endpoint) {
    return endpoint.use == EndpointUse::serving;
  };
  if (!upstream.endpoints.empty() &&
      std::none_of(upstream.endpoints.begin(), upstream.endpoints.end(), serves))
    document.warn(
        node, "upstream " + upstream.name + ": all endpoints drain; every request will get 503");
  if (upstream.health.path.empty() && upstream.slow_start > core::Duration{0})
    document.warn(
        node,
        "upstream " + upstream.name +
            ": slow_start means nothing without health: nobody says when an endpoint comes up");
}

void read_upstream(Document& document, Config& config, const std::string& name,
                   const YAML::Node& node) {
  const Section section{
      document,
      node,
      "upstreams." + name,
      {"endpoints", "balance", "timeouts", "health", "eject", "circuit", "slow_start",
       "connections", "share", "queue", "retries", "send_proxy", "tls"}};
  UpstreamConfig upstream{.name = name};
  if (!section.has("endpoints") || document.list(section.get("endpoints")).empty()) {
    document.complain(
        node, "upstream " + name + " has no endpoints; write endpoints: [http://127.0.0.1:9001]");
  } else {
    const std::vector<YAML::Node> endpoints = document.list(section.get("endpoints"));
    for (const YAML::Node& endpoint : endpoints) read_endpoint(document, upstream, endpoint);
    if (endpoints.size() > endpoints_max)
      document.complain(section.get("endpoints"), std::to_string(endpoints.size()) +
                                                      " endpoints; an upstream has at most " +
                                                      std::to_string(endpoints_max));
  }
  read_balance(document, config, section, upstream);
  if (section.has("timeouts")) read_timeouts(document, upstream.timeouts, section.get("timeouts"));
  if (section.has("health")) read_health(document, upstream.health, section.get("health"));
  if (section.has("eject")) read_ejection(document, upstream.ejection, section.get("eject"));
  if (section.has("circuit")) read_circuit(document, upstream.circuit, section.get("circuit"));
  if (section.has("queue")) read_queue(document, upstream, section.get("queue"));
  if (section.has("retries")) read_retries(document, upstream, section.get("retries"));
  section.read_duration_or_none("slow_start", upstream.slow_start);
  section.read_number("connections", upstream.connections, 1, 1'000'000);
  section.read_percent("share", upstream.share_percent, 1, 100);
  if (section.has("send_proxy")) {
    if (const auto word = document.word(section.get("send_proxy"), {"v1", "v2", "none"}))
      upstream.send_proxy = *word == "v1"   ? SendProxy::v1
                            : *word == "v2" ? SendProxy::v2
                                            : SendProxy::none;
  }
  const bool is_encrypted =
      std::any_of(upstream.endpoints.begin(), upstream.endpoints.end(),
                  [](const EndpointConfig& one) { return one.scheme == Scheme::https; });
  if (is_encrypted) read_upstream_tls(document, section.get("tls"), upstream);
  if (!is_encrypted && section.has("tls"))
    document.complain(section.get("tls"), "upstream " + name +
                                              " has no endpoint that begins with "
                                              "https://, and tls: means nothing without one");
  if (is_encrypted && upstream.send_proxy != SendProxy::none)
    document.complain(section.get("send_proxy"),
                      "a PROXY header would have to stand before the TLS handshake, which is not "
                      "supported; leave it out, or write http://");
  warn_of_upstream(document, node, upstream);
  config.upstreams.push_back(std::move(upstream));
}

}  // namespace

void read_upstreams(Document& document, Config& config, const YAML::Node& node) {
  for_each_named(
      document, node, "upstreams", [&](const std::string& name, const YAML::Node& value) {
        const auto is_same = [&](const UpstreamConfig& other) { return other.name == name; };
        if (std::any_of(config.upstreams.begin(), config.upstreams.end(), is_same)) {
          document.complain(value, "another file has an upstream called \"" + name + "\" too");
        } else if (config.upstreams.size() == upstreams_max) {
          document.complain(value, "more than " + std::to_string(upstreams_max) + " upstreams");
        } else {
          read_upstream(document, config, name, value);
        }
      });
}

}  // namespace sluice::config
