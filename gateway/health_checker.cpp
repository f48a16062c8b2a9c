#include "gateway/health_checker.h"

#include <curl/curl.h>

#include <algorithm>

#include "core/affinity.h"
#include "gateway/generation.h"

namespace sluice::gateway {

namespace {

constexpr std::chrono::milliseconds look_interval{50};
constexpr long answer_bytes_max = 64 * 1024;

size_t discard(const char*, size_t size, size_t count, void* taken) {
  auto& sum = *static_cast<long*>(taken);
  sum += static_cast<long>(size * count);
  return sum > answer_bytes_max ? 0 : size * count;
}

struct Asking {
  CURL* easy = nullptr;
  curl_slist* to = nullptr;
  curl_slist* fields = nullptr;
  long taken = 0;
};

// The name in the URL is for the Host field only: the connection goes to the address that requests
// go to.
void prepare(Asking& asking, const Endpoint& endpoint, const config::HealthCheck& rules) {
  asking.easy = ::curl_easy_init();
  const bool is_unix = endpoint.destination.is_unix();
  const std::string host = !rules.host.empty() ? rules.host
                           : is_unix           ? "localhost"
                                               : endpoint.authority;
  const auto set = [&](CURLoption option, auto value) {
    ::curl_easy_setopt(asking.easy, option, value);
  };
  set(CURLOPT_URL, ("http://" + host + rules.path).c_str());
  if (is_unix) {
    const std::string path = endpoint.destination.path();
    set(path.front() == '@' ? CURLOPT_ABSTRACT_UNIX_SOCKET : CURLOPT_UNIX_SOCKET_PATH,
        path.c_str() + (path.front() == '@' ? 1 : 0));
  } else {
    asking.to = ::curl_slist_append(nullptr, ("::" + endpoint.destination.text()).c_str());
    set(CURLOPT_CONNECT_TO, asking.to);
  }
  asking.fields = ::curl_slist_append(nullptr, "User-Agent: sluice-health");
  set(CURLOPT_HTTPHEADER, asking.fields);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_FORBID_REUSE, 1L);
  set(CURLOPT_TIMEOUT_MS,
      static_cast<long>(
          std::chrono::duration_cast<std::chrono::milliseconds>(rules.timeout).count()));
  set(CURLOPT_WRITEFUNCTION, discard);
  set(CURLOPT_WRITEDATA, &asking.taken);
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

HealthChecker::~HealthChecker() { stop(); }

void HealthChecker::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake_.release();
  thread_.join();
}

std::vector<std::string> HealthChecker::take_notices() {
  const std::lock_guard lock{mutex_};
  return std::exchange(notices_, {});
}

void HealthChecker::watch(Generation& generation) {
  std::vector<std::unique_ptr<Target>> next;
  const std::lock_guard lock{mutex_};
  for (size_t upstream = 0; upstream < generation.config().upstreams.size(); ++upstream) {
    const config::HealthCheck& rules = generation.config().upstreams[upstream].health;
    for (const auto& endpoint : generation.endpoints(upstream)) {
      const auto known = std::find_if(targets_.begin(), targets_.end(), [&](const auto& one) {
        return one != nullptr && one->endpoint == endpoint;
      });
      if (rules.path.empty()) {
        endpoint->health.state.store(proxy::Health::unchecked, std::memory_order_relaxed);
      } else if (known != targets_.end()) {
        (*known)->rules = rules;
        next.push_back(std::move(*known));
      } else {
        next.push_back(
            std::make_unique<Target>(Target{.endpoint = endpoint, .rules = rules, .judge = {}}));
      }
    }
  }
  targets_ = std::move(next);
  std::vector<Target*> unknown;
  for (const auto& target : targets_) {
    if (target->endpoint->health.state.load(std::memory_order_relaxed) == proxy::Health::unchecked)
      unknown.push_back(target.get());
  }
  ask(unknown);
  if (!targets_.empty() && !thread_.joinable()) thread_ = std::thread{[this] { run(); }};
}

void HealthChecker::run() {
  core::enter_thread("sluice-health", -1);
  while (!stopping_) {
    static_cast<void>(wake_.try_acquire_for(look_interval));
    const std::lock_guard lock{mutex_};
    std::vector<Target*> due;
    for (const auto& target : targets_) {
      if (target->due <= Clock::now()) due.push_back(target.get());
    }
    if (!due.empty() && !stopping_) ask(due);
  }
}

// All at once.
void HealthChecker::ask(const std::vector<Target*>& targets) {
  CURLM* multi = ::curl_multi_init();
  std::vector<Asking> askings(targets.size());
  for (size_t index = 0; index < targets.size(); ++index) {
    prepare(askings[index], *targets[index]->endpoint, targets[index]->rules);
    ::curl_multi_add_handle(multi, askings[index].easy);
  }
  int running = static_cast<int>(targets.size());
  while (running > 0 && ::curl_multi_perform(multi, &running) == CURLM_OK && running > 0 &&
         !stopping_)
    ::curl_multi_poll(multi, nullptr, 0, 20, nullptr);
  int left = 0;
  while (const CURLMsg* message = ::curl_multi_info_read(multi, &left)) {
    const auto of = std::find_if(askings.begin(), askings.end(), [&](const Asking& one) {
      return one.easy == message->easy_handle;
    });
    Target& target = *targets[static_cast<size_t>(of - askings.begin())];
    long status = 0;
    ::curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    const bool is_good = message->data.result == CURLE_OK && status >= target.rules.status_min &&
                         status <= target.rules.status_max;
    observe(target, is_good ? proxy::Outcome::success : proxy::Outcome::failure,
            message->data.result == CURLE_OK ? "status " + std::to_string(status)
                                             : ::curl_easy_strerror(message->data.result));
  }
  for (Asking& asking : askings) {
    ::curl_multi_remove_handle(multi, asking.easy);
    ::curl_easy_cleanup(asking.easy);
    ::curl_slist_free_all(asking.to);
    ::curl_slist_free_all(asking.fields);
  }
  ::curl_multi_cleanup(multi);
}

void HealthChecker::observe(Target& target, proxy::Outcome outcome, const std::string& why) {
  const auto now = Clock::now();
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
  if (verdict == proxy::Health::down) notices_.push_back(name + " is down (" + why + ")");
  if (verdict == proxy::Health::up && before == proxy::Health::down)
    notices_.push_back(name + " is up again");
}

}  // namespace sluice::gateway
