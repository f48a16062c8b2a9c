// Applies flags and environment to the default configuration.
#include "cli/options.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gateway/control_socket.h"

#include "config/environment.h"
#include "config/reader.h"

namespace sluice::cli {

namespace {

// What a flag says, if it is given; complaints begin with its name.
template <typename T, typename Parse>
std::optional<Complaint> apply(const char* name, const std::string& text, T& into, Parse&& parse) {
  if (text.empty()) return std::nullopt;
  auto value = parse(text);
  if (const auto* complaint = std::get_if<Complaint>(&value))
    return Complaint{std::string{name} + ": " + complaint->text};
  into = static_cast<T>(std::move(*std::get_if<0>(&value)));
  return std::nullopt;
}

std::optional<Complaint> read_policy(const RunFlags& flags, limiter::Policy& policy) {
  policy = {.rate = {.requests = 1, .period_ns = 100'000'000}, .burst = 5};
  const auto number = [](const std::string& text) {
    return config::parse_number(text, 0, limiter::burst_max);
  };
  if (auto complaint = apply("--rate", flags.rate, policy.rate,
                             [](const std::string& text) { return config::parse_rate(text); }))
    return complaint;
  if (auto complaint = apply("--burst", flags.burst, policy.burst, number)) return complaint;
  policy.delay = policy.burst;
  if (auto complaint = apply("--delay", flags.delay, policy.delay, number)) return complaint;
  if (const auto complaint = limiter::check_policy(policy))
    return Complaint{"--rate, --burst, --delay: " + complaint->text};
  return std::nullopt;
}

// The one limit and the one route that there are without a configuration file.
std::optional<Complaint> add_routes(const RunFlags& flags, config::Config& config) {
  const bool is_limited = flags.rate != "none";
  if (!is_limited && (!flags.burst.empty() || !flags.delay.empty()))
    return Complaint{"--burst and --delay mean nothing with --rate none"};
  limiter::Policy policy;
  if (is_limited) {
    if (auto complaint = read_policy(flags, policy)) return complaint;
  }
  config::add_default_routes(config, policy);
  if (flags.shows_shaping && is_limited) {
    // The same limit, but what is above the rate waits for its turn.
    policy.delay = 0;
    config::Route shaped = config.routes.front();
    shaped.name = "shaped";
    shaped.match.path = "/shaped";
    shaped.rewrite.strip_prefix = shaped.match.path;
    shaped.limits_after = {
        config.add_limit({.name = "shaped", .key = {config::KeyPart{}}}, {.policy = policy})};
    config.routes.push_back(std::move(shaped));
  }
  for (config::Route& route : config.routes) {
    if (!is_limited) route.limits_after.clear();
    if (flags.auth == "none") {
      route.auth = config::AuthMode::none;
      route.providers = 0;
    }
  }
  if (!is_limited) {
    config.limits.clear();
    config.limit_rules.clear();
  }
  return std::nullopt;
}

// Of the one upstream that there is.
std::optional<Complaint> apply_upstream_flags(const RunFlags& flags, config::Config& config) {
  if (flags.upstream.empty() && flags.upstream_timeout.empty()) return std::nullopt;
  if (config.upstreams.size() > 1)
    return Complaint{
        "--upstream, --upstream-timeout: the configuration has several upstreams; say it there"};
  if (config.upstreams.empty()) config.upstreams.push_back({.name = "default"});
  config::UpstreamConfig& upstream = config.upstreams.front();
  if (!flags.upstream.empty()) {
    upstream.endpoints.resize(1);
    if (auto complaint =
            apply("--upstream", flags.upstream, upstream.endpoints.front(), config::parse_endpoint))
      return complaint;
    upstream.endpoints.front().place = "--upstream: ";
  }
  return apply("--upstream-timeout", flags.upstream_timeout, upstream.timeouts.head,
               config::parse_duration);
}

// What flags say of a configuration, wherever it comes from.
std::optional<Complaint> apply_flags(const RunFlags& flags, config::Config& config) {
  if (!flags.listen.empty()) {
    config.listeners.resize(1);
    if (auto complaint =
            apply("--listen", flags.listen, config.listeners.front().address, config::parse_listen))
      return complaint;
  }
  if (auto complaint = apply_upstream_flags(flags, config)) return complaint;
  if (auto complaint = apply("--cores", flags.cores, config.cores,
                             [](const std::string& text) { return config::parse_cores(text); }))
    return complaint;
  if (auto complaint = apply("--log", flags.log, config.log_path, config::parse_log))
    return complaint;
  if (!flags.control.empty())
    config.control_path = flags.control.starts_with('@')
                              ? flags.control
                              : std::filesystem::absolute(flags.control).string();
  if (config.control_path.empty()) config.control_path = gateway::default_control_path();
  if (auto complaint = apply("--user", flags.user, config.user,
                             [](const std::string& text) { return config::parse_user(text); }))
    return complaint;
  if (!flags.sandbox.empty() && flags.sandbox != "on" && flags.sandbox != "off")
    return Complaint{"--sandbox: \"" + flags.sandbox + "\" is not on or off"};
  if (!flags.sandbox.empty())
    config.sandbox = flags.sandbox == "on" ? config::Sandbox::on : config::Sandbox::off;
  if (flags.demo_routes) config.demo_routes = config::DemoRoutes::on;
  return std::nullopt;
}

}  // namespace

std::variant<std::string, Complaint> read_secret() {
  const auto secret = config::secret_of_environment("JWT_SECRET");
  if (secret && !secret->empty()) return *secret;
  // What systemd's LoadCredential=jwt-secret:... provides; only this service can read it.
  if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY"); !secret && folder != nullptr) {
    const std::string path = std::string{folder} + "/jwt-secret";
    std::ifstream file{path};
    std::string text;
    if (std::getline(file, text) && !text.empty()) return text;
    return Complaint{"the credential " + path + " is missing or empty, and JWT_SECRET is not set"};
  }
  return Complaint{"JWT_SECRET is " + std::string{secret ? "empty" : "not set"} +
                   "; set it to the secret that your tokens are signed with, for example "
                   "JWT_SECRET=mysecret sluice run"};
}

std::variant<config::Config, Complaint> make_config(const RunFlags& flags) {
  if (!flags.config.empty()) {
    if (!flags.rate.empty() || !flags.burst.empty() || !flags.delay.empty()) {
      return Complaint{
          "--rate, --burst and --delay mean nothing beside --config: limits stand in the file"};
    }
    if (!flags.auth.empty())
      return Complaint{"--auth means nothing beside --config: routes say auth: in the file"};
    config::ConfigReading reading = config::read_config(flags.config);
    std::string text;
    for (const std::string& complaint : reading.complaints)
      text += (text.empty() ? "" : "\nsluice: ") + complaint;
    if (!reading.config) return Complaint{text};
    if (const auto complaint = apply_flags(flags, *reading.config)) return *complaint;
    return std::move(*reading.config);
  }
  config::Config config;
  if (!flags.auth.empty() && flags.auth != "none" && flags.auth != "jwt")
    return Complaint{"--auth: \"" + flags.auth + "\" is not jwt or none"};
  if (flags.auth != "none") {
    auto secret = read_secret();
    if (const auto* complaint = std::get_if<Complaint>(&secret)) return *complaint;
    config::add_secret_auth(config, "main", std::get<std::string>(secret));
  }
  RunFlags filled = flags;
  if (filled.upstream.empty()) filled.upstream = "http://127.0.0.1:9001";
  if (filled.cores.empty()) filled.cores = "auto";
  if (const auto complaint = apply_flags(filled, config)) return *complaint;
  if (const auto complaint = add_routes(flags, config)) return *complaint;
  config::complete(config);
  return config;
}

std::string defaults_in_words(const RunFlags& flags, const config::Config& config) {
  std::string text = "without a configuration file ";
  text += flags.auth == "none" ? "nobody needs a token (--auth none)"
                               : "every request needs a token by JWT_SECRET (--auth none: it needs "
                                 "none)";
  if (config.limits.empty()) return text + ", and nothing is limited (--rate none)";
  const limiter::Policy& policy = config.limit_rules.front().policy;
  text +=
      ", and a client address may send " + std::to_string(policy.burst + 1) + " requests at once";
  if (policy.delay < policy.burst)
    text += ", of which all but " + std::to_string(policy.delay + 1) + " wait for their turn,";
  return text + " and " + (flags.rate.empty() ? "10/s" : flags.rate) +
         " in the long run; above that 429 (--rate N/s and --burst N change it, --rate none ends "
         "it)";
}

}  // namespace sluice::cli
