#include "gateway/service.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "config/values.h"
#include "gateway/control_socket.h"
#include "gateway/file_watch.h"
#include "gateway/gateway.h"
#include "gateway/host_settings.h"
#include "gateway/resolver.h"
#include "gateway/service_manager.h"

namespace sluice::gateway {

namespace {

sigset_t served_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGHUP}) sigaddset(&set, signal);
  return set;
}

// What nobody uses here, and what would end the process by default: a signal sent to the wrong
// process, a file at its bound (the write fails, and is counted), a reader that is gone.
void ignore_the_others() {
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
                           SIGSTKFLT, SIGTTIN, SIGTTOU})
    ::signal(signal, SIG_IGN);
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) ::signal(signal, SIG_IGN);
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

// Waits for a signal, at most `milliseconds`, or until somebody wants something by the control
// socket; 0 if no signal came.
int next_signal(int descriptor, const ControlSocket* control, int milliseconds) {
  std::vector<pollfd> waiting{{.fd = descriptor, .events = POLLIN, .revents = 0}};
  if (control != nullptr) {
    for (const int one : control->descriptors())
      waiting.push_back({.fd = one, .events = POLLIN, .revents = 0});
  }
  if (::poll(waiting.data(), waiting.size(), milliseconds) <= 0 ||
      (waiting.front().revents & POLLIN) == 0)
    return 0;
  signalfd_siginfo info{};
  return ::read(descriptor, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo)
                                                               : 0;
}

bool ends(int signal) { return signal == SIGINT || signal == SIGTERM || signal == SIGQUIT; }

// Why a gateway ends.
enum class Leaving { told, relieved };

// Kept connections go over to the successor, after an answer each; those that say nothing for half
// of the time that a drain may take are closed.
void yield(Gateway& gateway, int signals) {
  using std::chrono::steady_clock;
  gateway.yield();
  const auto until = steady_clock::now() + gateway.config().timeouts.drain / 2;
  while (!gateway.wait(std::chrono::milliseconds{20}) && steady_clock::now() < until) {
    if (ends(next_signal(signals, nullptr, 0))) break;
  }
}

// From the first SIGTERM or SIGINT to the last line.
int drain(Gateway& gateway, int signals, Leaving leaving) {
  using std::chrono::steady_clock;
  notify("STOPPING=1");
  say("draining: finishing what is in flight, at most " +
      std::to_string(
          std::chrono::duration_cast<std::chrono::seconds>(gateway.config().timeouts.drain)
              .count()) +
      " s; a second signal ends at once");
  const auto announce = gateway.config().timeouts.drain_announce;
  if (leaving == Leaving::relieved) {
    yield(gateway, signals);
  } else if (announce > core::Duration{0}) {
    say("draining: /health says no for " +
        std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(announce).count()) +
        " ms, and everything else goes on");
    gateway.announce_drain();
    const auto until = steady_clock::now() + announce;
    for (auto now = steady_clock::now(); now < until; now = steady_clock::now()) {
      if (ends(next_signal(
              signals, nullptr,
              static_cast<int>(
                  std::chrono::duration_cast<std::chrono::milliseconds>(until - now).count()) +
                  1)))
        break;
    }
  }
  const auto started = steady_clock::now();
  gateway.begin_drain();
  constexpr auto look = std::chrono::milliseconds{20};
  constexpr auto grace = std::chrono::seconds{3};
  enum class Stage { finishing, refusing, closing } stage = Stage::finishing;
  while (!gateway.wait(look)) {
    const bool again = ends(next_signal(signals, nullptr, 0));
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
  const DrainReport report = gateway.stop();
  for (const std::string& notice : gateway.take_notices()) say(notice);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - started).count();
  say("stopped after " + std::to_string(milliseconds) + " ms: " + std::to_string(report.finished) +
      " requests finished while draining, " + std::to_string(report.cut) + " cut");
  return report.cut == 0 ? exit_clean : exit_cut;
}

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

std::string upstreams_in_words(const config::Config& config) {
  size_t endpoints = 0;
  for (const config::UpstreamConfig& upstream : config.upstreams)
    endpoints += upstream.endpoints.size();
  if (config.upstreams.empty()) return "forwarding to nobody";
  const config::EndpointConfig& first = config.upstreams.front().endpoints.front();
  if (endpoints == 1)
    return "forwarding to " +
           (first.destination.is_unix() ? first.destination.text() : "http://" + first.authority);
  return "forwarding to " + std::to_string(endpoints) + " endpoints of " +
         std::to_string(config.upstreams.size()) + " upstream" +
         (config.upstreams.size() == 1 ? "" : "s");
}

}  // namespace

void say(const std::string& text) {
  const std::string line = "sluice: " + text + "\n";
  // Standard error that nobody reads holds up nothing.
  pollfd out{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&out, 1, 0) == 0) return;
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

void block_signals() {
  const sigset_t set = served_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ignore_the_others();
}

namespace {

// What is said once requests are served.
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
      " MiB, taken as it is needed");
  if (const std::string lack = memory_warning(gateway.memory_bound_bytes(), host); !lack.empty())
    say("warning: " + lack);
}

// One run of a gateway, from its first request to the order to stop.
class Service {
 public:
  Service(Gateway& gateway, const ServeOptions& options)
      : gateway_(gateway), options_(options), watchdog_(watchdog_timeout()) {
    if (options.read_again) files_.watch(gateway.config().files);
    names_.watch(gateway.config());
  }

  [[nodiscard]] std::optional<Complaint> listen() {
    if (gateway_.config().control_path.empty()) return std::nullopt;
    const std::string& path = gateway_.config().control_path;
    return control_.listen(path, options_.take_over == path ? ControlSocket::Claim::take_over
                                                            : ControlSocket::Claim::if_free);
  }
  // Returns when a drain is to begin.
  [[nodiscard]] Leaving run(int signals) {
    using std::chrono::steady_clock;
    constexpr std::chrono::milliseconds second{1000};
    const auto interval = std::min(second, watchdog_.interval().value_or(second));
    auto next_look = steady_clock::now() + second;
    auto next_sign = steady_clock::now();
    while (!is_relieved_) {
      for (const std::string& notice : gateway_.take_notices()) say(notice);
      // What comes of opening the log anew is said at once.
      const auto patience = gateway_.is_reopening_log() ? std::chrono::milliseconds{10} : interval;
      const int signal = next_signal(signals, &control_, static_cast<int>(patience.count()));
      if (ends(signal)) return Leaving::told;
      if (signal == SIGUSR1) gateway_.reopen_log();
      if (signal == SIGHUP) static_cast<void>(reload("SIGHUP"));
      control_.serve({.reload = [this] { return reload("sluice reload"); },
                      .listeners = [this] { return gateway_.listeners(); },
                      .take_over = [this] { relieve(); }});
      const auto now = steady_clock::now();
      if (now >= next_look) {
        next_look = now + second;
        look_after();
      }
      if (watchdog_.interval() && now >= next_sign) {
        next_sign = now + *watchdog_.interval();
        if (watchdog_.is_alive(gateway_.progress())) notify("WATCHDOG=1");
      }
    }
    return Leaving::relieved;
  }

 private:
  void look_after() {
    gateway_.look_after();
    if (gateway_.config().reloads_on_change && options_.read_again && files_.have_changed())
      static_cast<void>(reload("a changed file"));
    if (names_.take_change()) adopt_names();
  }

  // Why it failed, or nothing.
  std::optional<std::string> reload(const std::string& because) {
    if (!options_.read_again) {
      say(because + ": there is no configuration file to reload");
      return "there is no configuration file to reload";
    }
    notify_reloading();
    files_.watch(gateway_.config().files);  // what comes meanwhile is another change
    auto read = options_.read_again();
    std::optional<std::string> why;
    if (auto* complaint = std::get_if<Complaint>(&read)) {
      gateway_.note_failed_reload();
      why = complaint->text;
    } else {
      why = gateway_.reload(std::move(std::get<config::Config>(read)));
    }
    if (why) {
      say(because + " failed, and what runs goes on as it was: " + *why);
    } else {
      files_.watch(gateway_.config().files);
      names_.watch(gateway_.config());
      say(because + ": the new configuration is in use, " + upstreams_in_words(gateway_.config()));
    }
    notify("READY=1");
    return why;
  }

  // The same configuration, and a name has other addresses.
  void adopt_names() {
    config::Config config = gateway_.config();
    static_cast<void>(resolve_endpoints(config, names_.names()));
    if (const auto why = gateway_.reload(std::move(config))) {
      say("names have other addresses, which are not in use yet: " + *why);
    } else {
      say("names have other addresses: " + upstreams_in_words(gateway_.config()));
    }
  }

  // Another process has the listeners and their names.
  void relieve() {
    say("another process has taken over");
    gateway_.leave_names();
    control_.leave_name();
    is_relieved_ = true;
  }

  Gateway& gateway_;
  const ServeOptions& options_;
  Watchdog watchdog_;
  ControlSocket control_;
  FileWatch files_;
  NameWatcher names_;
  bool is_relieved_ = false;
};

}  // namespace

int serve(config::Config config, const ServeOptions& options) {
  const sigset_t set = served_signals();
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC);
  warn_of_short_secrets(config);
  const uint32_t connections_wanted = config.bounds.connections;
  const HostSettings host = read_host_settings();
  Gateway gateway{std::move(config)};
  std::vector<int> sockets = take_activation_sockets();
  Predecessor predecessor;
  if (!options.take_over.empty()) {
    auto asked = ask_for_listeners(options.take_over);
    if (const auto* complaint = std::get_if<Complaint>(&asked)) {
      say("--take-over: " + complaint->text);
      return exit_cannot_bind;
    }
    predecessor = std::get<Predecessor>(asked);
    sockets.insert(sockets.end(), predecessor.listeners.begin(), predecessor.listeners.end());
  }
  gateway.inherit(std::move(sockets));
  if (const auto failure = gateway.start()) {
    say(failure->text);
    return failure->exit_code;
  }
  Service service{gateway, options};
  if (const auto complaint = service.listen()) {
    say(complaint->text);
    return exit_usage;
  }
  say_what_runs(gateway, connections_wanted, host);
  if (predecessor.connection >= 0) {
    relieve(predecessor);
    notify("MAINPID=" + std::to_string(::getpid()));
  }
  notify("READY=1");
  if (options.when_ready) options.when_ready(gateway.port());
  const int code = drain(gateway, signals, service.run(signals));
  ::close(signals);
  return code;
}

}  // namespace sluice::gateway
