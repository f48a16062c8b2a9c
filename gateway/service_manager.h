// What a service manager and its service tell each other (sd_notify(3), sd_listen_fds(3),
// sd_watchdog_enabled(3)), by protocol: datagrams to a unix socket, and environment variables. All
// of it is silent where there is no manager.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

// Sends "READY=1" and its kin.
void notify(std::string_view state);
// "RELOADING=1" with the time that Type=notify-reload wants beside it.
void notify_reloading();

// The sockets that were opened for this process; close-on-exec from now on. Once: the variables are
// gone afterwards.
[[nodiscard]] std::vector<int> take_activation_sockets();

// How long the manager waits for a sign of life, if it does.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_timeout();

// Decides whether to give the sign: all workers must have done a turn since the last time.
class Watchdog {
 public:
  explicit Watchdog(std::optional<std::chrono::microseconds> timeout) : timeout_(timeout) {}
  // How often to look; nothing if nobody waits.
  [[nodiscard]] std::optional<std::chrono::milliseconds> interval() const;
  // `progress` is a number a worker that grows with its turns.
  [[nodiscard]] bool is_alive(const std::vector<uint64_t>& progress);

 private:
  std::optional<std::chrono::microseconds> timeout_;
  std::vector<uint64_t> last_;
};

}  // namespace sluice::gateway
