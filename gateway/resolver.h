// Names to addresses, by DNS and the hosts file (c-ares), and again when what was answered is about
// to be stale. Never on a core: at start and reload the control thread waits for the answers, later
// a thread of its own does.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <semaphore>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "config/config.h"
#include "core/address.h"

namespace sluice::gateway {

struct Resolved {
  std::vector<core::SocketAddress> addresses;  // port 0, sorted, each once
  std::chrono::seconds ttl{0};                 // 0: nothing says how long it holds
  std::string complaint;                       // why there is no address
};

// All names at once; at most `timeout`.
[[nodiscard]] std::map<std::string, Resolved> resolve_names(const std::set<std::string>& names,
                                                            const config::ResolverConfig& config);

// The names of endpoints that are no addresses yet.
[[nodiscard]] std::set<std::string> names_of(const config::Config& config);
// Gives every endpoint with a name an address: one with several becomes several. Complaints, a line
// each, about names without any.
[[nodiscard]] std::vector<std::string> resolve_endpoints(
    config::Config& config, const std::map<std::string, Resolved>& names);
[[nodiscard]] std::vector<std::string> resolve_endpoints(config::Config& config);

// Looks the names up again, each when its time has come, and says when one of them has other
// addresses than before.
class NameWatcher {
 public:
  NameWatcher() = default;
  ~NameWatcher() { stop(); }
  NameWatcher(const NameWatcher&) = delete;
  NameWatcher& operator=(const NameWatcher&) = delete;

  void watch(const config::Config& config);
  void stop();
  // Whether something changed since the last call.
  [[nodiscard]] bool take_change() { return changed_.exchange(false); }
  // As last known. What can't be resolved now keeps what it had.
  [[nodiscard]] std::map<std::string, Resolved> names();

 private:
  using Clock = std::chrono::steady_clock;
  struct Name {
    Resolved last;
    Clock::time_point due;
  };
  void run();

  std::mutex mutex_;  // of what follows; the control thread and the watcher's
  config::ResolverConfig config_;
  std::map<std::string, Name> names_;
  std::atomic<bool> changed_{false};
  std::atomic<bool> stopping_{false};
  std::binary_semaphore wake_{0};
  std::thread thread_;
};

}  // namespace sluice::gateway
