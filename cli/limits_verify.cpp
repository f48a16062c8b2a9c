// Runs a gateway in this process, loads it, and judges what was admitted.
#include "cli/limits_verify.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>

#include "cli/example_service.h"
#include "core/affinity.h"
#include "gateway/gateway.h"
#include "limiter/journal.h"

namespace sluice::cli {

namespace {

using std::chrono::steady_clock;

constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: verify.example\r\n\r\n";
constexpr size_t journal_entries = 4'000'000;

// One connection of one client, which asks as soon as it was answered.
class Asker {
 public:
  Asker(uint32_t client, uint16_t port)
      : client_(client), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto from = core::SocketAddress::ipv4(0x7f010001 + client, 0);
    const auto to = core::SocketAddress::ipv4(0x7f000001, port);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    is_open_ = ::bind(socket_, from.data(), from.size()) == 0 &&
               ::connect(socket_, to.data(), to.size()) == 0 &&
               ::fcntl(socket_, F_SETFL, O_NONBLOCK) == 0;
  }
  ~Asker() { ::close(socket_); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  [[nodiscard]] bool is_open() const { return is_open_; }
  [[nodiscard]] bool is_waiting() const { return is_waiting_; }
  [[nodiscard]] int socket() const { return socket_; }
  [[nodiscard]] uint32_t client() const { return client_; }
  [[nodiscard]] unsigned answers() const { return answers_; }
  void ask() {
    is_waiting_ = ::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) ==
                  static_cast<ssize_t>(request.size());
  }

  // Reads what has come; the status of an answer that is complete now, else 0.
  unsigned read() {
    std::array<char, 4096> piece;
    const ssize_t size = ::recv(socket_, piece.data(), piece.size(), 0);
    if (size <= 0) {
      is_open_ = is_waiting_ = size < 0 && errno == EAGAIN;
      return 0;
    }
    answer_.append(piece.data(), static_cast<size_t>(size));
    const size_t head = answer_.find("\r\n\r\n");
    const size_t length_at = answer_.find("Content-Length: ");
    if (head == std::string::npos || length_at == std::string::npos) return 0;
    size_t length = 0;
    unsigned status = 0;
    std::from_chars(answer_.data() + length_at + 16, answer_.data() + head, length);
    std::from_chars(answer_.data() + 9, answer_.data() + 12, status);
    if (answer_.size() < head + 4 + length) return 0;
    answer_.clear();
    is_waiting_ = false;
    ++answers_;
    return status;
  }

 private:
  uint32_t client_;
  int socket_;
  unsigned answers_ = 0;
  bool is_open_ = false;
  bool is_waiting_ = false;
  std::string answer_;
};

class Load {
 public:
  Load(const VerifyOptions& options, uint16_t port)
      : port_(port),
        answers_max_(options.switch_steering ? 20 : UINT32_MAX),
        refusals_(options.addresses) {
    for (uint32_t client = 0; client < options.addresses; ++client) {
      for (uint32_t n = 0; n < options.connections; ++n)
        askers_.push_back(std::make_unique<Asker>(client, port));
    }
    for (const auto& asker : askers_)
      polled_.push_back({.fd = asker->socket(), .events = POLLIN, .revents = 0});
  }
  [[nodiscard]] bool all_open() const {
    for (const auto& asker : askers_) {
      if (!asker->is_open()) return false;
    }
    return true;
  }

  // Asks until `end`, then waits for what is out.
  template <typename Meanwhile>
  void run(steady_clock::time_point end, VerifyReport& report, Meanwhile&& meanwhile) {
    const auto give_up = end + std::chrono::seconds{20};
    for (auto& asker : askers_) asker->ask();
    while (steady_clock::now() < give_up) {
      // A slow machine takes longer until every client is refused; until then nothing is shown.
      const bool asking =
          steady_clock::now() < end ||
          (steady_clock::now() < give_up - std::chrono::seconds{5} && !all_refused());
      meanwhile();
      if (::poll(polled_.data(), polled_.size(), 100) < 0) return;
      bool waiting = false;
      for (size_t index = 0; index < askers_.size(); ++index) {
        if (asking && !askers_[index]->is_waiting() && askers_[index]->answers() >= answers_max_)
          reconnect(index);
        Asker& asker = *askers_[index];
        if (polled_[index].revents != 0) {
          if (const unsigned status = asker.read(); status != 0) {
            count(status, report);
            if (status == 429) ++refusals_[asker.client()];
          }
          if (!asker.is_open()) polled_[index].fd = -1;
        }
        if (!asker.is_waiting() && asker.is_open() && asking) asker.ask();
        waiting |= asker.is_waiting();
      }
      if (!asking && !waiting) return;
    }
  }

 private:
  // A connection that was there before the steering changed stays where it is; a new one goes
  // elsewhere.
  void reconnect(size_t index) {
    const uint32_t client = askers_[index]->client();
    askers_[index].reset();
    askers_[index] = std::make_unique<Asker>(client, port_);
    polled_[index] = {.fd = askers_[index]->socket(), .events = POLLIN, .revents = 0};
  }
  [[nodiscard]] bool all_refused() const {
    return std::all_of(refusals_.begin(), refusals_.end(),
                       [](unsigned refusals) { return refusals >= 50; });
  }
  static void count(unsigned status, VerifyReport& report) {
    (status == 200   ? report.answers_200
     : status == 429 ? report.answers_429
                     : report.answers_else) += 1;
  }
  uint16_t port_;
  unsigned answers_max_;  // on one connection
  std::vector<std::unique_ptr<Asker>> askers_;
  std::vector<pollfd> polled_;
  std::vector<unsigned> refusals_;  // by client
};

// What each key's owner decided, against the formula. That begins anew whenever a bucket has
// drained: no request was waiting for so long, and what leaked from an empty bucket is lost.
void judge(const limiter::Policy& policy, const limiter::Journal& journal, VerifyReport& report) {
  using Exact = __int128;
  struct Seen {
    VerifiedKey up_to_now;
    VerifiedKey up_to_refusal;
    core::Instant first{};    // charge since the bucket was empty
    core::Instant refused{};  // the last time
    core::Instant latest{};   // decision
    Exact level = 0;
  };
  const Exact one = policy.rate.period_ns;
  std::map<uint64_t, Seen> keys;
  for (const limiter::JournalEntry& entry : journal.entries()) {
    Seen& seen = keys[entry.claim.hash];
    seen.level -= Exact{policy.rate.requests} * (entry.at - seen.latest).count();
    seen.latest = entry.at;
    if (seen.level < 0) {
      seen.level = 0;
      seen.up_to_now = seen.up_to_refusal = {};
    }
    ++seen.up_to_now.asked;
    if (entry.event == limiter::JournalEntry::Event::charged) {
      if (seen.up_to_now.admitted++ == 0) seen.first = entry.at;
      seen.level += one;
      ++report.admitted_by_owners;
    } else {
      seen.refused = entry.at;
      seen.up_to_refusal = seen.up_to_now;
    }
  }
  for (auto& [hash, seen] : keys) {
    VerifiedKey key = seen.up_to_refusal;
    const Exact elapsed = (seen.refused - seen.first).count();
    if (key.asked > 0)
      key.expected = policy.burst + 1 + static_cast<uint64_t>(elapsed * policy.rate.requests / one);
    report.keys.push_back(key);
  }
}

config::Config make_config(const VerifyOptions& options, uint16_t upstream_port) {
  config::Config config;
  config.listeners.front().address = core::SocketAddress::ipv4(0x7f000001, 0);
  config::add_upstream(config, "default", core::SocketAddress::ipv4(0x7f000001, upstream_port),
                       "127.0.0.1");
  config.log_path = "none";
  config.sandbox = config::Sandbox::off;  // the clients are in this process too
  config.steering = options.steering;
  const std::vector<int> cores = core::available_cores();
  for (uint32_t index = 0; index < options.cores; ++index)
    config.cores.push_back(cores[index % cores.size()]);
  config::add_default_routes(config, options.policy);
  config.routes.front().auth = config::AuthMode::none;
  config.bounds.requests_per_connection = UINT32_MAX;
  config::complete(config);
  return config;
}

}  // namespace

uint64_t VerifyReport::error() const {
  const auto difference = [](uint64_t a, uint64_t b) { return a > b ? a - b : b - a; };
  uint64_t sum = difference(admitted_by_owners, answers_200) + answers_else;
  for (const VerifiedKey& key : keys) sum += difference(key.admitted, key.expected);
  return sum;
}

VerifyReport verify_limits(const VerifyOptions& options) {
  VerifyReport report;
  ExampleService service;
  if (const auto complaint = service.listen(core::SocketAddress::ipv4(0x7f000001, 0))) {
    report.failure = *complaint;
    return report;
  }
  service.start();
  std::vector<std::unique_ptr<limiter::Journal>> journals;
  std::vector<limiter::Journal*> lent;
  for (uint32_t worker = 0; worker < options.cores; ++worker) {
    journals.push_back(std::make_unique<limiter::Journal>(journal_entries));
    lent.push_back(journals.back().get());
  }
  gateway::Gateway gateway{make_config(options, service.port())};
  gateway.keep_journals(lent);
  if (const auto failure = gateway.start()) {
    report.failure = failure->text;
    return report;
  }
  auto next_switch = steady_clock::now();
  bool steered = true;
  const auto meanwhile = [&] {
    if (!options.switch_steering || steady_clock::now() < next_switch) return;
    next_switch += std::chrono::milliseconds{100};
    steered = !steered;
    gateway.set_steering(steered ? limiter::Steering::address : limiter::Steering::spread);
  };
  {
    Load load{options, gateway.port()};
    if (!load.all_open()) report.failure = "can't connect from 127.1.0.1 and its neighbours";
    if (!report.failure) load.run(steady_clock::now() + options.duration, report, meanwhile);
  }
  report.remote_checks = gateway.remote_checks();
  gateway.begin_drain();
  gateway.stop();
  service.stop();
  for (const auto& journal : journals) {
    if (journal->lost() > 0)
      report.failure = "more decisions were made than can be written down; ask for less time";
    judge(options.policy, *journal, report);
  }
  return report;
}

}  // namespace sluice::cli
