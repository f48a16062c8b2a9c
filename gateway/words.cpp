// The lines that a gateway prints about itself.
#include "gateway/words.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "config/values.h"
#include "gateway/footprint.h"

namespace sluice::gateway {

namespace {

std::string addresses_in_words(const Gateway& gateway) {
  std::string text;
  for (const config::ListenerConfig& listener : gateway.config().listeners) {
    std::string address = listener.address.text();
    if (!listener.address.is_unix() && listener.address.port() == 0)
      address = address.substr(0, address.rfind(':') + 1) + std::to_string(gateway.port());
    text += (text.empty() ? "" : " and ") + address;
  }
  return text;
}

}  // namespace

void say(const std::string& text) {
  static std::atomic<uint64_t> lost{0};
  // A pipe that is writable takes so much without waiting (PIPE_BUF).
  constexpr size_t line_max = 4096;
  std::string line = "sluice: " + text + "\n";
  if (const uint64_t before = lost.exchange(0); before > 0)
    line = "sluice: " + std::to_string(before) + " lines before this one were lost\n" + line;
  for (size_t at = 0; at < line.size();) {
    pollfd waiting{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (::poll(&waiting, 1, 0) <= 0) {
      lost.fetch_add(1);
      return;
    }
    const ssize_t written =
        ::write(STDERR_FILENO, line.data() + at, std::min(line_max, line.size() - at));
    if (written <= 0) return;
    at += static_cast<size_t>(written);
  }
}

void warn_of_short_secrets(const config::Config& config) {
  for (const config::AuthConfig& entry : config.auth) {
    // One secret serves several algorithms; the first is the one that most tokens use.
    for (const auth::SharedKey& key : entry.fixed_keys) {
      if (auth::is_long_enough(*key)) break;
      say("warning: the secret has " + std::to_string(key->secret.size()) + " bytes; " +
          std::string{auth::to_string(key->algorithm)} + " wants " +
          std::to_string(auth::traits(key->algorithm).digest_bytes) +
          " or more (RFC 7518 3.2), shorter ones can be guessed from a token");
      break;
    }
  }
}

std::string upstreams_in_words(const config::Config& config) {
  size_t endpoints = 0;
  for (const config::UpstreamConfig& upstream : config.upstreams)
    endpoints += upstream.endpoints.size();
  if (config.upstreams.empty()) return "forwarding to nobody";
  const config::EndpointConfig& first = config.upstreams.front().endpoints.front();
  if (endpoints == 1 && first.has_address())
    return "forwarding to " +
           (first.destination.is_unix() ? first.destination.text() : "http://" + first.authority);
  return "forwarding to " + std::to_string(endpoints) + " endpoints of " +
         std::to_string(config.upstreams.size()) + " upstream" +
         (config.upstreams.size() == 1 ? "" : "s");
}

void say_what_runs(const Gateway& gateway, uint32_t connections_wanted, const HostSettings& host) {
  const config::Config& running = gateway.config();
  say(SLUICE_VERSION " listening on " + addresses_in_words(gateway) + " with " +
      std::to_string(running.cores.size()) + " worker" + (running.cores.size() == 1 ? "" : "s") +
      ", " + upstreams_in_words(running));
  for (size_t index = 0; index < running.limits.size(); ++index) {
    say("limit " + running.limits[index].name + ": " +
        config::in_words(running.limit_rules[index]));
  }
  say("/health and /metrics are answered by Sluice itself and are public");
  for (const std::string& warning : host_warnings(running, connections_wanted, host))
    say("warning: " + warning);
  say("memory: at most " + std::to_string(gateway.memory_bound_bytes() >> 20) +
      " MiB, taken as it is needed; beside it at most " +
      std::to_string(socket_memory_bound_bytes(running, host.socket_memory_bytes) >> 20) +
      " MiB of the kernel's for socket buffers");
  if (const std::string lack = memory_warning(gateway.memory_bound_bytes(), host); !lack.empty())
    say("warning: " + lack);
}

}  // namespace sluice::gateway
