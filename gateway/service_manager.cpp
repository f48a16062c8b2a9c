// Takes sockets from a service manager and notifies it.
#include "gateway/service_manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace sluice::gateway {

namespace {

constexpr int first_socket = 3;  // SD_LISTEN_FDS_START
constexpr int sockets_max = 1024;

// A number in the environment; nothing if there is none.
std::optional<uint64_t> number_of(const char* name) {
  const char* text = std::getenv(name);
  uint64_t number = 0;
  if (text == nullptr) return std::nullopt;
  const char* end = text + std::strlen(text);
  const auto [stop, failure] = std::from_chars(text, end, number);
  return failure == std::errc{} && stop == end ? std::optional{number} : std::nullopt;
}

}  // namespace

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
  ::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
  ::close(socket);
}

void notify_reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  notify("RELOADING=1\nMONOTONIC_USEC=" +
         std::to_string(now.tv_sec * 1'000'000 + now.tv_nsec / 1000));
}

std::vector<int> take_activation_sockets() {
  const auto process = number_of("LISTEN_PID");
  const auto count = number_of("LISTEN_FDS");
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  std::vector<int> sockets;
  if (process != static_cast<uint64_t>(::getpid()) || !count || *count > sockets_max)
    return sockets;
  for (int index = 0; index < static_cast<int>(*count); ++index) {
    ::fcntl(first_socket + index, F_SETFD, FD_CLOEXEC);
    sockets.push_back(first_socket + index);
  }
  return sockets;
}

std::optional<std::chrono::microseconds> watchdog_timeout() {
  const auto microseconds = number_of("WATCHDOG_USEC");
  const auto process = number_of("WATCHDOG_PID");
  if (!microseconds || *microseconds == 0 ||
      (process && *process != static_cast<uint64_t>(::getpid())))
    return std::nullopt;
  return std::chrono::microseconds{*microseconds};
}

std::optional<std::chrono::milliseconds> Watchdog::interval() const {
  if (!timeout_) return std::nullopt;
  return std::max(std::chrono::milliseconds{1},
                  std::chrono::duration_cast<std::chrono::milliseconds>(*timeout_) / 4);
}

bool Watchdog::is_alive(const std::vector<uint64_t>& progress) {
  bool all = last_.empty() || last_.size() == progress.size();
  for (size_t index = 0; all && index < last_.size(); ++index)
    all = progress[index] != last_[index];
  if (all) last_ = progress;  // who stands still is compared with when it last moved
  return all;
}

}  // namespace sluice::gateway
