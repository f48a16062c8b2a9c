// Asks endpoints in turn and judges their answers.
#include "gateway/health_checker.h"

#include <algorithm>

#include "core/fresh_secret.h"
#include "gateway/generation.h"

namespace sluice::gateway {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds health_look_interval{50};
constexpr milliseconds health_patience{20};  // with the network, before something else has its turn
constexpr milliseconds health_settle_interval{2};
constexpr size_t answer_bytes_max = 64 * 1024;

// The name in the URL is for the Host field only: the connection goes to the address that requests
// go to.
Question question_for(const Endpoint& endpoint, const config::HealthCheck& rules) {
  const bool is_unix = endpoint.destination.is_unix();
  const std::string host = !rules.host.empty() ? rules.host
                           : is_unix           ? "localhost"
                                               : endpoint.authority;
  if (endpoint.tls != nullptr) {
    // The name in the URL is the one that the certificate must have.
    const bool is_ipv6 = endpoint.tls_name.find(':') != std::string::npos;
    const std::string name = is_ipv6 ? "[" + endpoint.tls_name + "]" : endpoint.tls_name;
    const config::UpstreamTls& tls = *endpoint.tls;
    return {.url = "https://" + name + rules.path,
            .authorities = tls.ca_path,
            .certificate = tls.certificate.chain,
            .key = tls.certificate.key,
            .believes_anybody = tls.options.verification == tls::Verification::none,
            .host = host,
            .address = endpoint.destination.text(),
            .user_agent = "sluice-health",
            .timeout = std::chrono::duration_cast<milliseconds>(rules.timeout),
            .body_max = answer_bytes_max};
  }
  return {.url = "http://" + host + rules.path,
          .address = is_unix ? "" : endpoint.destination.text(),
          .unix_path = is_unix ? endpoint.destination.path() : "",
          .user_agent = "sluice-health",
          .timeout = std::chrono::duration_cast<milliseconds>(rules.timeout),
          .body_max = answer_bytes_max};
}

}  // namespace

bool HealthJudge::observe(proxy::Outcome outcome, const config::HealthCheck& rules,
                          proxy::Health& verdict) {
  in_a_row_ = outcome == last_ ? in_a_row_ + 1 : 1;
  last_ = outcome;
  const proxy::Health said =
      outcome == proxy::Outcome::success ? proxy::Health::up : proxy::Health::down;
  const uint32_t needed = verdict == proxy::Health::unchecked  ? 1
                          : outcome == proxy::Outcome::success ? rules.up_after
                                                               : rules.down_after;
  if (said == verdict || in_a_row_ < needed) return false;
  verdict = said;
  return true;
}

HealthChecker::World HealthChecker::real_world() {
  const auto fetcher = std::make_shared<Fetcher>();
  return {.now = Clock::now,
          .ask = [fetcher](uint64_t ticket,
                           const Question& question) { fetcher->begin(ticket, question); },
          .answers = [fetcher](milliseconds wait) { return fetcher->take(wait); }};
}

HealthChecker::HealthChecker(World world)
    : world_(std::move(world)),
      random_(world_.seed != 0 ? world_.seed : core::fresh_secret<uint64_t>()) {}

HealthChecker::~HealthChecker() { stop(); }

std::optional<std::string> HealthChecker::start() {
  return thread_.start([this] { return tick(); });
}

void HealthChecker::stop() { thread_.stop(); }

std::vector<std::string> HealthChecker::take_notices() {
  const std::lock_guard lock{mutex_};
  return std::exchange(notices_, {});
}

HealthChecker::Target* HealthChecker::find(const std::shared_ptr<Endpoint>& endpoint) {
  const auto found = std::find_if(targets_.begin(), targets_.end(), [&](const auto& one) {
    return one != nullptr && one->endpoint == endpoint;
  });
  return found == targets_.end() ? nullptr : found->get();
}

void HealthChecker::meet(const Generation& generation) {
  {
    const std::lock_guard lock{mutex_};
    for (size_t upstream = 0; upstream < generation.config().upstreams.size(); ++upstream) {
      const config::HealthCheck& rules = generation.config().upstreams[upstream].health;
      if (rules.path.empty()) continue;
      for (const auto& endpoint : generation.endpoints(upstream)) {
        if (find(endpoint) == nullptr)
          targets_.push_back(
              std::make_unique<Target>(Target{.endpoint = endpoint, .rules = rules}));
      }
    }
  }
  thread_.wake();
}

bool HealthChecker::knows(const Generation& generation) const {
  const std::lock_guard lock{mutex_};
  for (size_t upstream = 0; upstream < generation.config().upstreams.size(); ++upstream) {
    for (const auto& endpoint : generation.endpoints(upstream)) {
      const bool is_unknown = std::any_of(targets_.begin(), targets_.end(), [&](const auto& one) {
        return one->endpoint == endpoint && !one->was_asked;
      });
      if (is_unknown) return false;
    }
  }
  return true;
}

bool HealthChecker::settle(const Generation& generation,
                           const std::function<bool()>& is_interrupted) {
  while (!knows(generation)) {
    if (is_interrupted && is_interrupted()) return false;
    if (thread_.is_running())
      core::Waker{}.wait(health_settle_interval);
    else
      static_cast<void>(tick());
  }
  return true;
}

void HealthChecker::watch(const Generation& generation) {
  meet(generation);
  std::vector<std::unique_ptr<Target>> next;
  const std::lock_guard lock{mutex_};
  for (size_t upstream = 0; upstream < generation.config().upstreams.size(); ++upstream) {
    const config::HealthCheck& rules = generation.config().upstreams[upstream].health;
    for (const auto& endpoint : generation.endpoints(upstream)) {
      if (rules.path.empty()) {
        endpoint->health.state.store(proxy::Health::unchecked, std::memory_order_relaxed);
        continue;
      }
      const auto known = std::find_if(targets_.begin(), targets_.end(), [&](const auto& one) {
        return one != nullptr && one->endpoint == endpoint;
      });
      if (known == targets_.end()) continue;
      (*known)->rules = rules;
      next.push_back(std::move(*known));
    }
  }
  targets_ = std::move(next);
}

milliseconds HealthChecker::tick() {
  std::vector<std::pair<uint64_t, Question>> due;
  bool waits = false;
  {
    const std::lock_guard lock{mutex_};
    for (const auto& target : targets_) {
      if (target->ticket != 0 || target->due > world_.now()) continue;
      target->ticket = ++tickets_;
      ++under_way_;
      due.emplace_back(target->ticket, question_for(*target->endpoint, target->rules));
    }
    waits = under_way_ > 0;
  }
  for (const auto& [ticket, question] : due) world_.ask(ticket, question);
  if (!waits) return health_look_interval;
  take_answers(health_patience);
  return milliseconds{0};
}

// An answer for what is no target any more says nothing.
void HealthChecker::take_answers(milliseconds wait) {
  const Fetcher::Answers answers = world_.answers(wait);
  const std::lock_guard lock{mutex_};
  under_way_ -= answers.size();
  for (const auto& [ticket, fetched] : answers) {
    for (const auto& target : targets_) {
      if (target->ticket == ticket) observe(*target, fetched);
    }
  }
}

void HealthChecker::observe(Target& target, const Fetched& fetched) {
  const bool is_good = fetched.complaint.empty() && fetched.status >= target.rules.status_min &&
                       fetched.status <= target.rules.status_max;
  const auto outcome = is_good ? proxy::Outcome::success : proxy::Outcome::failure;
  const auto now = world_.now();
  target.ticket = 0;
  target.was_asked = true;
  // Not all at the same moment, and not the same ones at the same moment.
  target.due = now + target.rules.interval * static_cast<int64_t>(90 + random_.below(20)) / 100;
  proxy::EndpointHealth& health = target.endpoint->health;
  const proxy::Health before = health.state.load(std::memory_order_relaxed);
  proxy::Health verdict = before;
  if (!target.judge.observe(outcome, target.rules, verdict)) return;
  if (before == proxy::Health::down)
    health.up_since_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  health.state.store(verdict, std::memory_order_relaxed);
  const std::string name = target.endpoint->upstream->name + ": " + target.endpoint->authority +
                           " at " + target.endpoint->destination.text();
  const std::string why =
      fetched.complaint.empty() ? "status " + std::to_string(fetched.status) : fetched.complaint;
  if (verdict == proxy::Health::down) notices_.push_back(name + " is down (" + why + ")");
  if (verdict == proxy::Health::up && before == proxy::Health::down)
    notices_.push_back(name + " is up again");
}

}  // namespace sluice::gateway
