// Applies flags and environment to the default configuration.
#include "cli/options.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gateway/control_socket.h"

#include "config/environment.h"
#include "config/reader.h"
#include "gateway/resolver.h"

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
  const auto number = [](const std::string& text) {
    return config::parse_number(text, 0, limiter::burst_max);
  };
  if (auto complaint = apply("--rate", flags.rate, policy.rate,
                             [](const std::string& text) { return config::parse_rate(text); }))
    return complaint;
  if (auto complaint = apply("--burst", flags.burst, policy.burst, number)) return complaint;
  if (auto complaint = apply("--delay", flags.delay, policy.delay, number)) return complaint;
  if (const auto complaint = limiter::check_policy(policy))
    return Complaint{"--rate, --burst, --delay: " + complaint->text};
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

std::optional<Complaint> resolve(config::Config& config) {
  std::string text;
  for (const std::string& complaint : gateway::resolve_endpoints(config))
    text += (text.empty() ? "" : "\nsluice: ") + complaint;
  if (text.empty()) return std::nullopt;
  return Complaint{text};
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
    config::ConfigReading reading = config::read_config(flags.config);
    std::string text;
    for (const std::string& complaint : reading.complaints)
      text += (text.empty() ? "" : "\nsluice: ") + complaint;
    if (!reading.config) return Complaint{text};
    if (const auto complaint = apply_flags(flags, *reading.config)) return *complaint;
    if (const auto complaint = resolve(*reading.config)) return *complaint;
    return std::move(*reading.config);
  }
  config::Config config;
  auto secret = read_secret();
  if (const auto* complaint = std::get_if<Complaint>(&secret)) return *complaint;
  config::add_secret_auth(config, "main", std::get<std::string>(secret));
  limiter::Policy policy{.rate = {.requests = 1, .period_ns = 100'000'000}, .burst = 5, .delay = 0};
  if (const auto complaint = read_policy(flags, policy)) return *complaint;
  RunFlags filled = flags;
  if (filled.upstream.empty()) filled.upstream = "http://127.0.0.1:9001";
  if (filled.cores.empty()) filled.cores = "auto";
  if (const auto complaint = apply_flags(filled, config)) return *complaint;
  if (const auto complaint = resolve(config)) return *complaint;
  config::add_default_routes(config, policy);
  config::complete(config);
  return config;
}

}  // namespace sluice::cli
