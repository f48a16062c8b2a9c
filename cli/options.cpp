#include "cli/options.h"

#include <netdb.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "core/affinity.h"
#include "http/uri.h"

namespace sluice::cli {

namespace {

std::optional<uint32_t> parse_number(const std::string& text, uint32_t max) {
  uint32_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size() || number > max) return std::nullopt;
  return number;
}

std::optional<core::SocketAddress> resolve(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return std::nullopt;
  std::optional<core::SocketAddress> address;
  if (found->ai_family == AF_INET || found->ai_family == AF_INET6) {
    address.emplace();
    std::memcpy(address->data(), found->ai_addr, found->ai_addrlen);
  }
  ::freeaddrinfo(found);
  return address;
}

std::optional<Complaint> apply_limit(const RunFlags& flags, proxy::Config& config) {
  if (!flags.rate.empty()) {
    auto rate = limiter::parse_rate(flags.rate);
    if (const auto* complaint = std::get_if<limiter::Complaint>(&rate)) return Complaint{"--rate: " + complaint->text};
    config.limit.rate = std::get<limiter::Rate>(rate);
  }
  if (!flags.burst.empty()) {
    const auto burst = parse_number(flags.burst, 1'000'000);
    if (!burst) return Complaint{"--burst \"" + flags.burst + "\" is not a number from 0 to 1000000"};
    config.limit.burst = *burst;
  }
  if (!flags.delay.empty()) {
    const auto delay = parse_number(flags.delay, 1'000'000);
    if (!delay) return Complaint{"--delay \"" + flags.delay + "\" is not a number from 0 to the burst"};
    config.limit.delay = *delay;
  }
  if (const auto complaint = limiter::check_policy(config.limit)) return Complaint{"--rate, --burst, --delay: " + complaint->text};
  return std::nullopt;
}

std::optional<Complaint> apply_cores(const RunFlags& flags, proxy::Config& config) {
  config.cores = core::available_cores();
  if (flags.cores.empty()) return std::nullopt;
  const auto count = parse_number(flags.cores, core::limits::workers_max);
  if (!count || *count == 0)
    return Complaint{"--cores \"" + flags.cores + "\" is not a number from 1 to " + std::to_string(core::limits::workers_max)};
  if (*count > config.cores.size()) {
    return Complaint{"--cores " + flags.cores + ": only " + std::to_string(config.cores.size()) + " may be used (see taskset, cpuset)"};
  }
  config.cores.resize(*count);
  return std::nullopt;
}

}  // namespace

std::variant<core::Duration, Complaint> parse_duration(const std::string& text) {
  uint32_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit{end, static_cast<size_t>(text.data() + text.size() - end)};
  if (failure == std::errc{} && number > 0 && number <= 86'400'000) {
    if (unit == "ms") return core::Duration{std::chrono::milliseconds{number}};
    if (unit == "s") return core::Duration{std::chrono::seconds{number}};
    if (unit == "m" || unit == "min") return core::Duration{std::chrono::minutes{number}};
  }
  return Complaint{"duration \"" + text + "\" is not a number with a unit; write for example 500ms, 2s or 1m"};
}

std::variant<proxy::Endpoint, Complaint> parse_upstream(const std::string& text) {
  constexpr std::string_view scheme = "http://";
  const Complaint complaint{"upstream \"" + text + "\" is not a URL like http://127.0.0.1:9001"};
  if (text.compare(0, scheme.size(), scheme) != 0) return complaint;
  std::string authority = text.substr(scheme.size());
  if (!authority.empty() && authority.back() == '/') authority.pop_back();
  if (!http::is_valid_authority(authority)) return complaint;
  const auto colon = authority.rfind(':');
  const bool has_port = colon != std::string::npos && authority.find(']', colon) == std::string::npos;
  std::string host = authority.substr(0, has_port ? colon : std::string::npos);
  const auto port = has_port ? parse_number(authority.substr(colon + 1), 65535) : std::optional<uint32_t>{80};
  if (!port || *port == 0) return complaint;
  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  const auto address = resolve(host, static_cast<uint16_t>(*port));
  if (!address) return Complaint{"upstream \"" + text + "\": the name " + host + " has no address"};
  return proxy::Endpoint{.address = *address, .authority = authority};
}

std::variant<std::string, Complaint> read_secret() {
  const char* secret = std::getenv("JWT_SECRET");
  if (secret != nullptr && *secret != 0) return std::string{secret};
  // What systemd's LoadCredential=jwt-secret:... provides; only this service can read it.
  if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY"); secret == nullptr && folder != nullptr) {
    const std::string path = std::string{folder} + "/jwt-secret";
    std::ifstream file{path};
    std::string text;
    if (std::getline(file, text) && !text.empty()) return text;
    return Complaint{"the credential " + path + " is missing or empty, and JWT_SECRET is not set"};
  }
  return Complaint{"JWT_SECRET is " + std::string{secret == nullptr ? "not set" : "empty"} +
                   "; set it to the secret that your tokens are signed with, for example JWT_SECRET=mysecret sluice run"};
}

std::variant<proxy::Config, Complaint> make_config(const RunFlags& flags) {
  proxy::Config config;
  auto secret = read_secret();
  if (const auto* complaint = std::get_if<Complaint>(&secret)) return *complaint;
  config.jwt_secret = std::get<std::string>(secret);
  if (!flags.listen.empty()) {
    const auto address = core::SocketAddress::parse(flags.listen);
    if (!address) return Complaint{"--listen \"" + flags.listen + "\" is not an address like 0.0.0.0:8000, [::]:8000 or :8000"};
    config.listen = *address;
  }
  auto upstream = parse_upstream(flags.upstream.empty() ? "http://127.0.0.1:9001" : flags.upstream);
  if (const auto* complaint = std::get_if<Complaint>(&upstream)) return Complaint{"--" + complaint->text};
  config.upstream = std::get<proxy::Endpoint>(upstream);
  if (const auto complaint = apply_limit(flags, config)) return *complaint;
  if (const auto complaint = apply_cores(flags, config)) return *complaint;
  if (!flags.log.empty()) config.log_path = flags.log;
  if (!flags.upstream_timeout.empty()) {
    auto timeout = parse_duration(flags.upstream_timeout);
    if (const auto* complaint = std::get_if<Complaint>(&timeout)) return Complaint{"--upstream-timeout: " + complaint->text};
    config.timeouts.upstream_head = std::get<core::Duration>(timeout);
  }
  if (flags.demo_routes) config.demo_routes = proxy::DemoRoutes::on;
  return config;
}

}  // namespace sluice::cli
