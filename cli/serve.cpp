#include "cli/serve.h"

#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <poll.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "proxy/config_values.h"
#include "proxy/gateway.h"

namespace sluice::cli {

namespace {

sigset_t served_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) sigaddset(&set, signal);
  return set;
}

// Tells the service manager, if there is one (sd_notify(3)'s protocol: a datagram to a unix socket).
void notify(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = 0;  // abstract
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  ::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
  ::close(socket);
}

void warn_of_short_secrets(const proxy::Config& config) {
  for (const proxy::AuthConfig& entry : config.auth) {
    // One secret serves several algorithms; the first is the one that most tokens use.
    for (const auth::SharedKey& key : entry.fixed_keys) {
      if (auth::is_long_enough(*key)) break;
      say("warning: the secret has " + std::to_string(key->secret.size()) + " bytes; " + std::string{auth::to_string(key->algorithm)} +
          " wants " + std::to_string(auth::traits(key->algorithm).digest_bytes) +
          " or more (RFC 7518 3.2), shorter ones can be guessed from a token");
      break;
    }
  }
}

// Waits for one signal, at most `milliseconds` (-1: for ever); 0 if none came.
int next_signal(int descriptor, int milliseconds) {
  pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, milliseconds) <= 0) return 0;
  signalfd_siginfo info{};
  return ::read(descriptor, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

// From the first SIGTERM or SIGINT to the last line.
int drain(proxy::Gateway& gateway, int signals) {
  using std::chrono::steady_clock;
  notify("STOPPING=1");
  say("draining: finishing what is in flight, at most " +
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(gateway.config().timeouts.drain).count()) +
      " s; a second signal ends at once");
  const auto started = steady_clock::now();
  gateway.begin_drain();
  constexpr auto look = std::chrono::milliseconds{20};
  constexpr auto grace = std::chrono::seconds{3};
  enum class Stage { finishing, refusing, closing } stage = Stage::finishing;
  while (!gateway.wait(look)) {
    const int signal = next_signal(signals, 0);
    const bool again = signal == SIGINT || signal == SIGTERM;
    const auto taken = steady_clock::now() - started;
    if (again || (stage == Stage::refusing && taken > gateway.config().timeouts.drain + grace)) {
      if (stage == Stage::finishing) gateway.cut();
      if (stage != Stage::closing) gateway.cut();
      stage = Stage::closing;
    } else if (stage == Stage::finishing && taken > gateway.config().timeouts.drain) {
      gateway.cut();
      stage = Stage::refusing;
    }
  }
  const proxy::DrainReport report = gateway.stop();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - started).count();
  say("stopped after " + std::to_string(milliseconds) + " ms: " + std::to_string(report.finished) + " requests finished while draining, " +
      std::to_string(report.cut) + " cut");
  return report.cut == 0 ? proxy::exit_clean : proxy::exit_cut;
}

std::string addresses_in_words(const proxy::Gateway& gateway) {
  std::string text;
  for (const proxy::ListenerConfig& listener : gateway.config().listeners) {
    std::string address = listener.address.text();
    if (!listener.address.is_unix() && listener.address.port() == 0)
      address = address.substr(0, address.rfind(':') + 1) + std::to_string(gateway.port());
    text += (text.empty() ? "" : " and ") + address;
  }
  return text;
}

std::string upstreams_in_words(const proxy::Config& config) {
  size_t endpoints = 0;
  for (const proxy::UpstreamConfig& upstream : config.upstreams) endpoints += upstream.endpoints.size();
  if (config.upstreams.empty()) return "forwarding to nobody";
  const proxy::EndpointConfig& first = config.upstreams.front().endpoints.front();
  if (endpoints == 1) return "forwarding to " + (first.destination.is_unix() ? first.destination.text() : "http://" + first.authority);
  return "forwarding to " + std::to_string(endpoints) + " endpoints of " + std::to_string(config.upstreams.size()) + " upstream" +
         (config.upstreams.size() == 1 ? "" : "s");
}

}  // namespace

void say(const std::string& text) {
  const std::string line = "sluice: " + text + "\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

void block_signals() {
  const sigset_t set = served_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int serve(proxy::Config config, const std::function<void(uint16_t port)>& when_ready) {
  const sigset_t set = served_signals();
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC);
  warn_of_short_secrets(config);
  const uint32_t connections_wanted = config.bounds.connections;
  proxy::Gateway gateway{std::move(config)};
  if (const auto failure = gateway.start()) {
    say(failure->text);
    return failure->exit_code;
  }
  const proxy::Config& running = gateway.config();
  say(SLUICE_VERSION " listening on " + addresses_in_words(gateway) + " with " + std::to_string(running.cores.size()) + " worker" +
      (running.cores.size() == 1 ? "" : "s") + ", " + upstreams_in_words(running));
  for (size_t index = 0; index < running.limits.size(); ++index) {
    say("limit " + running.limits[index].name + ": " + proxy::in_words(running.limit_rules[index]));
  }
  say("/health and /metrics are answered by Sluice itself and are public");
  if (running.bounds.connections < connections_wanted) {
    say("warning: the limit of open files allows " + std::to_string(running.bounds.connections) + " connections a core, not " +
        std::to_string(connections_wanted) + "; raise it with ulimit -n or LimitNOFILE=");
  }
  say("memory: at most " + std::to_string(gateway.memory_bound_bytes() >> 20) + " MiB, taken as it is needed");
  notify("READY=1");
  if (when_ready) when_ready(gateway.port());

  while (true) {
    for (const std::string& notice : gateway.take_notices()) say(notice);
    constexpr int second_ms = 1000;
    const int signal = next_signal(signals, second_ms);
    if (signal == 0) gateway.look_after();
    switch (signal) {
      case SIGUSR1: gateway.reopen_log(); break;
      case SIGHUP: say("SIGHUP: there is no configuration file to reload"); break;
      case SIGINT:
      case SIGTERM: {
        const int code = drain(gateway, signals);
        ::close(signals);
        return code;
      }
      default: break;
    }
  }
}

}  // namespace sluice::cli
