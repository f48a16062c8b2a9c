// Resolves names again when their TTLs end and says what changed.
#include "gateway/name_watcher.h"

#include <algorithm>
#include <utility>

namespace sluice::gateway {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds name_look_interval{200};
constexpr std::chrono::seconds name_retry_interval{1};  // twice as long each time, up to
constexpr std::chrono::seconds name_retry_interval_max{30};
constexpr std::chrono::seconds name_retry_interval_known{2};  // while there are addresses to use
constexpr uint32_t doublings_max = 5;

bool same_addresses(const Resolved& a, const Resolved& b) {
  return std::equal(a.addresses.begin(), a.addresses.end(), b.addresses.begin(), b.addresses.end(),
                    [](const auto& x, const auto& y) { return x.text() == y.text(); });
}

}  // namespace

NameWatcher::NameWatcher(World world) : world_(std::move(world)) {}

std::optional<std::string> NameWatcher::start() {
  return thread_.start([this] { return tick(); });
}

void NameWatcher::stop() { thread_.stop(); }

uint64_t NameWatcher::version() const {
  const std::lock_guard lock{mutex_};
  return version_;
}

NameWatcher::Filled NameWatcher::fill(config::Config& config, const Interrupted& is_interrupted) {
  std::set<std::string> wanted = names_of(config);
  {
    const std::lock_guard lock{mutex_};
    // Other servers may know better; what they don't know stays.
    if (std::exchange(config_, config.resolver) == config.resolver)
      std::erase_if(wanted, [&](const std::string& name) { return names_.contains(name); });
  }
  if (!wanted.empty()) take(world_.resolve(wanted, config.resolver, is_interrupted));
  Names known;
  Filled filled;
  {
    const std::lock_guard lock{mutex_};
    for (const auto& [host, name] : names_) known[host] = name.last;
    filled.version = version_;
  }
  filled.complaints = resolve_endpoints(config, known);
  return filled;
}

void NameWatcher::watch(const config::Config& config) {
  const std::lock_guard lock{mutex_};
  const std::set<std::string> names = names_of(config);
  config_ = config.resolver;
  std::erase_if(names_, [&](const auto& one) { return !names.contains(one.first); });
}

std::set<std::string> NameWatcher::due_names() const {
  const std::lock_guard lock{mutex_};
  std::set<std::string> due;
  for (const auto& [host, name] : names_) {
    if (name.due <= world_.now()) due.insert(host);
  }
  return due;
}

milliseconds NameWatcher::tick() {
  const std::set<std::string> due = due_names();
  if (due.empty()) return name_look_interval;
  config::ResolverConfig config;
  {
    const std::lock_guard lock{mutex_};
    config = config_;
  }
  const Names answers = world_.resolve(due, config, [this] { return thread_.is_stopping(); });
  if (!thread_.is_stopping()) take(answers);
  return milliseconds{0};
}

void NameWatcher::take(const Names& answers) {
  const std::lock_guard lock{mutex_};
  for (const auto& [host, answer] : answers) {
    Name& name = names_[host];
    if (answer.addresses.empty()) {
      const auto patience = std::min<std::chrono::seconds>(
          name_retry_interval_max, name_retry_interval * (1 << name.failures));
      name.failures = std::min(name.failures + 1, doublings_max);
      name.due =
          world_.now() + (name.last.addresses.empty() ? patience : name_retry_interval_known);
      name.last.complaint = answer.complaint;
      continue;
    }
    name.failures = 0;
    const auto life = std::clamp<std::chrono::nanoseconds>(
        answer.ttl.count() == 0 ? config_.ttl_max : answer.ttl, config_.ttl_min, config_.ttl_max);
    name.due = world_.now() + std::chrono::duration_cast<Clock::duration>(life);
    if (same_addresses(answer, name.last)) continue;
    name.last = answer;
    ++version_;
  }
}

}  // namespace sluice::gateway
