// Loopback sockets and pinned threads for the benchmarks of the engine.
#include "bench/engine/loopback.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/address.h"
#include "core/affinity.h"

namespace sluice::bench {

namespace {

void send_at_once(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Those of the process, read before a thread is pinned: threads inherit that.
const std::vector<int>& cores() {
  static const std::vector<int> all = core::available_cores();
  return all;
}

}  // namespace

void give_up(const std::string& what) {
  std::fprintf(stderr, "engine: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

int listen_on_loopback(uint16_t& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto any = core::SocketAddress::ipv4(0x7f000001, 0);
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  if (listener < 0 || ::bind(listener, any.data(), any.size()) != 0 ||
      ::listen(listener, 4096) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    give_up("can't listen");
  }
  port = ntohs(bound.sin_port);
  return listener;
}

int connect_to_loopback(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto to = core::SocketAddress::ipv4(0x7f000001, port);
  if (socket < 0 || ::connect(socket, to.data(), to.size()) != 0) give_up("can't connect");
  return socket;
}

Pairs::Pairs(size_t count, Room room) {
  uint16_t port = 0;
  const int listener = listen_on_loopback(port);
  const auto to = core::SocketAddress::ipv4(0x7f000001, port);
  for (size_t number = 0; number < count; ++number) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int window = 4096;
    const int to_be_sent = 65536;
    if (room == Room::little) ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    if (socket < 0 || ::connect(socket, to.data(), to.size()) != 0) give_up("can't connect");
    near.push_back(socket);
    far.push_back(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (far.back() < 0) give_up("can't accept");
    if (room == Room::little)
      ::setsockopt(far.back(), SOL_SOCKET, SO_SNDBUF, &to_be_sent, sizeof to_be_sent);
    send_at_once(near.back());
    send_at_once(far.back());
  }
  ::close(listener);
}

Pairs::~Pairs() {
  for (const int socket : near) ::close(socket);
  for (const int socket : far) ::close(socket);
}

void write_all(int socket, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) give_up("can't send");
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
}

bool read_all(int socket, char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(socket, bytes, size, 0);
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

void pin_benchmark() { core::enter_thread("engine-bench", cores().back()); }

double cpu_seconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

Measured::Measured(std::function<void()> body, size_t core)
    : thread_([this, core, body = std::move(body)] { run(body, core); }) {
  state_.wait(State::starting);
}

Measured::~Measured() { thread_.join(); }

void Measured::run(const std::function<void()>& body, size_t core) {
  core::enter_thread("engine-measured", cores()[core % cores().size()]);
  ::pthread_getcpuclockid(::pthread_self(), &clock_);
  state_ = State::running;
  state_.notify_all();
  body();
  at_end_ = bench::cpu_seconds(clock_);
  state_ = State::ended;
}

double Measured::cpu_seconds() const {
  if (state_ == State::running) {
    timespec time{};
    // It may end in between, and its clock with it.
    if (::clock_gettime(clock_, &time) == 0)
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
    while (state_ != State::ended) continue;
  }
  return at_end_;
}

unsigned kernel_workers() {
  unsigned count = 0;
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::string name;
    std::getline(std::ifstream{task.path() / "comm"}, name);
    if (name.starts_with("iou-wrk")) ++count;
  }
  return count;
}

}  // namespace sluice::bench
