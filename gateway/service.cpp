// From the configuration to the exit code: start, serve, reload, drain.
#include "gateway/service.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "gateway/certificate_watch.h"
#include "gateway/control_socket.h"
#include "gateway/file_watch.h"
#include "gateway/gateway.h"
#include "gateway/host_settings.h"
#include "gateway/name_watcher.h"
#include "gateway/preparer.h"
#include "gateway/reloader.h"
#include "gateway/service_manager.h"
#include "gateway/words.h"

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

// Waits for a signal, at most `wait_ms`, or until something comes in on one of `others`; 0 if
// no signal came.
int next_signal(int descriptor, const std::vector<int>& others, int wait_ms) {
  std::vector<pollfd> waiting{{.fd = descriptor, .events = POLLIN, .revents = 0}};
  for (const int one : others) waiting.push_back({.fd = one, .events = POLLIN, .revents = 0});
  if (::poll(waiting.data(), waiting.size(), wait_ms) <= 0 ||
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
    if (ends(next_signal(signals, {}, 0))) break;
  }
}

// Whether one of those has come that end, while nobody takes signals yet.
bool is_told_to_end() {
  sigset_t pending;
  if (::sigpending(&pending) != 0) return false;
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT}) {
    if (::sigismember(&pending, signal) == 1) return true;
  }
  return false;
}

// From the first SIGTERM or SIGINT to the last line. `when_drained` comes before the threads end.
int drain(Gateway& gateway, int signals, Leaving leaving,
          const std::function<void()>& when_drained) {
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
              signals, {},
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
    const bool again = ends(next_signal(signals, {}, 0));
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
  when_drained();
  const DrainReport report = gateway.stop();
  for (const std::string& notice : gateway.take_notices()) say(notice);
  const auto took_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - started).count();
  say("stopped after " + std::to_string(took_ms) + " ms: " + std::to_string(report.finished) +
      " requests finished while draining, " + std::to_string(report.cut) + " cut");
  return report.cut == 0 ? exit_clean : exit_cut;
}

}  // namespace

void block_signals() {
  const sigset_t set = served_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ignore_the_others();
}

namespace {

// One run of a gateway, from its first request to the order to stop.
class Service {
 public:
  Service(Gateway& gateway, NameWatcher& names, uint64_t names_version, const ServeOptions& options)
      : gateway_(gateway),
        names_(names),
        options_(options),
        watchdog_(watchdog_timeout()),
        reloader_(world(), names_version) {
    if (options.read_again) files_.watch(gateway.config().files);
    names_.watch(gateway.config());
    certificates_.watch(gateway.config());
  }

  // What is wrong, or nothing.
  [[nodiscard]] std::optional<std::string> begin() {
    if (auto why = names_.start()) return why;
    if (auto why = preparer_.start()) return why;
    if (gateway_.config().control_path.empty()) return std::nullopt;
    const std::string& path = gateway_.config().control_path;
    if (const auto complaint =
            control_.listen(path, options_.take_over == path ? ControlSocket::Claim::take_over
                                                             : ControlSocket::Claim::if_free))
      return complaint->text;
    return std::nullopt;
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
      std::vector<int> waited = control_.descriptors();
      if (preparer_.descriptor() >= 0) waited.push_back(preparer_.descriptor());
      // What comes of opening the log anew is said at once.
      const auto patience = gateway_.is_reopening_log() ? std::chrono::milliseconds{10} : interval;
      const int signal = next_signal(signals, waited, static_cast<int>(patience.count()));
      if (ends(signal)) break;
      if (signal == SIGUSR1) gateway_.reopen_log();
      if (signal == SIGHUP) want_reload("SIGHUP", Reloader::nobody);
      control_.serve({.reload = [this](uint64_t ticket) { want_reload("sluice reload", ticket); },
                      .listeners = [this] { return gateway_.listeners(); },
                      .take_over = [this] { relieve(); }});
      const auto now = steady_clock::now();
      if (now >= next_look) {
        next_look = now + second;
        look_after();
      }
      std::vector<Reloader::Reply> replies = reloader_.tick();
      for (Reloader::Reply& reply : std::exchange(refused_, {}))
        replies.push_back(std::move(reply));
      for (const Reloader::Reply& reply : replies) control_.answer_reload(reply.ticket, reply.why);
      if (watchdog_.interval() && now >= next_sign) {
        next_sign = now + *watchdog_.interval();
        if (watchdog_.is_alive(gateway_.progress())) notify("WATCHDOG=1");
      }
    }
    preparer_.ask_to_stop();
    return is_relieved_ ? Leaving::relieved : Leaving::told;
  }

  // Nothing is under way any more that uses the gateway.
  void stop_preparing() { preparer_.stop(); }

 private:
  void look_after() {
    gateway_.look_after();
    if (gateway_.config().reloads_on_change && options_.read_again && files_.have_changed())
      want_reload("a changed file", Reloader::nobody);
    else if (certificates_.have_changed())
      reloader_.want("a changed certificate", Reloader::nobody, ReloadKind::certificates);
    const core::WallTime now{std::chrono::system_clock::now().time_since_epoch()};
    for (const std::string& warning : certificates_.warnings(now)) say(warning);
  }

  void want_reload(const std::string& because, uint64_t ticket) {
    if (options_.read_again) {
      reloader_.want(because, ticket);
      return;
    }
    const std::string why = "there is no configuration file to reload";
    say(because + ": " + why);
    if (ticket != Reloader::nobody) refused_.push_back({ticket, why});
  }

  [[nodiscard]] Reloader::World world() {
    return {.now = Reloader::Clock::now,
            .names_version = [this] { return names_.version(); },
            .why_no_room = [this] { return gateway_.why_no_room(); },
            .begin = [this](ReloadKind kind) { begin_reload(kind); },
            .take = [this] { return preparer_.take(); },
            .adopt = [this] { return adopt(); },
            .note_failure = [this] { note_failure(); },
            .say = [](const std::string& text) { say(text); },
            .in_words = [this] { return upstreams_in_words(gateway_.config()); }};
  }

  void begin_reload(ReloadKind kind) {
    const config::Config& running = gateway_.config();
    // What comes meanwhile is another change.
    if (kind != ReloadKind::names) certificates_.watch(running);
    if (kind == ReloadKind::file) {
      notify_reloading();
      files_.watch(running.files);  // what comes meanwhile is another change
    }
    preparer_.begin([this, kind, &running](const Interrupted& is_interrupted) {
      return prepare(kind, running, is_interrupted);
    });
  }

  // On the preparer's thread.
  Preparation prepare(ReloadKind kind, const config::Config& running,
                      const Interrupted& is_interrupted) {
    config::Config next;
    Preparation done;
    if (kind == ReloadKind::names) {
      next = running;
    } else if (kind == ReloadKind::certificates) {
      next = running;
      const config::TlsReading read = config::read_tls_files_again(next);
      for (const std::string& complaint : read.complaints)
        done.why += (done.why.empty() ? "" : "; ") + complaint;
      if (!done.why.empty()) return done;
      for (const std::string& warning : read.warnings)
        done.notices.push_back("warning: " + warning);
    } else {
      auto read = options_.read_again();
      if (auto* complaint = std::get_if<Complaint>(&read)) return {.why = complaint->text};
      next = std::move(std::get<config::Config>(read));
      for (const std::string& warning : next.start_warnings)
        done.notices.push_back("warning: " + warning);
    }
    NameWatcher::Filled filled = names_.fill(next, is_interrupted);
    done.names_version = filled.version;
    if (kind == ReloadKind::names && same_endpoints(next, running)) {
      done.result = Preparation::Result::unchanged;
      return done;
    }
    for (const std::string& complaint : filled.complaints)
      done.notices.push_back("warning: " + complaint);
    auto prepared = gateway_.prepare(std::move(next), running, is_interrupted);
    if (auto* why = std::get_if<std::string>(&prepared)) {
      done.why = std::move(*why);
      return done;
    }
    next_ = std::get<NextGeneration>(std::move(prepared));
    done.result = Preparation::Result::ready;
    return done;
  }

  std::optional<std::string> adopt() {
    auto why = gateway_.adopt(std::exchange(next_, nullptr));
    if (why) return why;
    files_.watch(gateway_.config().files);
    names_.watch(gateway_.config());
    certificates_.watch(gateway_.config());
    notify("READY=1");
    return std::nullopt;
  }

  void note_failure() {
    gateway_.note_failed_reload();
    notify("READY=1");
  }

  // Another process has the listeners and their names.
  void relieve() {
    say("another process has taken over");
    gateway_.leave_names();
    control_.leave_name();
    is_relieved_ = true;
  }

  Gateway& gateway_;
  NameWatcher& names_;
  const ServeOptions& options_;
  Watchdog watchdog_;
  ControlSocket control_;
  FileWatch files_;
  CertificateWatch certificates_;
  NextGeneration next_;  // the preparer's until it is done, then the control thread's
  Reloader reloader_;
  std::vector<Reloader::Reply> refused_;  // at once; said after the others
  bool is_relieved_ = false;
  Preparer preparer_;  // the last: it stops first
};

}  // namespace

int serve(config::Config config, const ServeOptions& options) {
  const sigset_t set = served_signals();
  warn_of_short_secrets(config);
  const uint32_t connections_wanted = config.bounds.connections;
  const HostSettings host = read_host_settings();
  NameWatcher names;
  const NameWatcher::Filled filled = names.fill(config, is_told_to_end);
  for (const std::string& complaint : filled.complaints) say("warning: " + complaint);
  for (const std::string& warning : config.start_warnings) say("warning: " + warning);
  Gateway gateway{std::move(config)};
  std::vector<int> sockets = take_activation_sockets();
  Predecessor predecessor;
  if (!options.take_over.empty()) {
    auto asked = ask_for_listeners(options.take_over, is_told_to_end);
    if (is_told_to_end()) {
      say("stopped before it served");
      return exit_clean;
    }
    if (const auto* complaint = std::get_if<Complaint>(&asked)) {
      say("--take-over: " + complaint->text);
      return exit_cannot_bind;
    }
    predecessor = std::get<Predecessor>(asked);
    sockets.insert(sockets.end(), predecessor.listeners.begin(), predecessor.listeners.end());
  }
  gateway.inherit(std::move(sockets));
  if (const auto failure = gateway.start(is_told_to_end)) {
    say(failure->text);
    return failure->exit_code;
  }
  Service service{gateway, names, filled.version, options};
  if (const auto why = service.begin()) {
    say(*why);
    return exit_usage;
  }
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC);
  say_what_runs(gateway, connections_wanted, host);
  if (predecessor.connection >= 0) {
    relieve(predecessor, is_told_to_end);
    notify("MAINPID=" + std::to_string(::getpid()));
  }
  notify("READY=1");
  if (options.when_ready) options.when_ready(gateway.port());
  const Leaving leaving = service.run(signals);
  const int code = drain(gateway, signals, leaving, [&] { service.stop_preparing(); });
  ::close(signals);
  return code;
}

}  // namespace sluice::gateway
