// The suite over io_uring and loopback sockets.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>

#include "core/limits.h"
#include "tests/contract/contract.h"

namespace sluice::contract {
namespace {

int make_listener(core::SocketAddress& bound) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  core::SocketAddress address = core::SocketAddress::ipv4(0x7f000001, 0);
  socklen_t size = core::SocketAddress::capacity;
  if (::bind(listener, address.data(), address.size()) != 0 || ::listen(listener, 64) != 0 ||
      ::getsockname(listener, address.data(), &size) != 0) {
    throw std::runtime_error{"no listener"};
  }
  bound = address;
  return listener;
}

class SocketFar : public Far {
 public:
  explicit SocketFar(int socket) : socket_(socket) {
    ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK);
  }
  ~SocketFar() override { ::close(socket_); }
  size_t write(std::string_view bytes) override {
    return static_cast<size_t>(
        std::max<ssize_t>(0, ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL)));
  }
  std::string read() override {
    std::string all;
    std::array<char, 65536> piece;
    ssize_t got = 0;
    while ((got = ::recv(socket_, piece.data(), piece.size(), 0)) > 0)
      all.append(piece.data(), static_cast<size_t>(got));
    return all;
  }
  bool saw_fin() override { return wait_and_receive() == 0; }
  bool saw_reset() override { return wait_and_receive() < 0 && errno == ECONNRESET; }
  void finish() override { ::shutdown(socket_, SHUT_WR); }
  void reset() override {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(socket_);
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  }

 private:
  ssize_t wait_and_receive() {
    pollfd readable{.fd = socket_, .events = POLLIN, .revents = 0};
    ::poll(&readable, 1, 2000);
    char byte = 0;
    return ::recv(socket_, &byte, 1, 0);
  }
  int socket_;
};

class LinuxRig : public Rig {
 public:
  LinuxRig() {
    core::KernelUnavailable unavailable;
    kernel_ =
        core::Kernel::open({.submission_entries = 64, .completion_entries = 512}, unavailable);
    if (kernel_ == nullptr) throw std::runtime_error{unavailable.reason};
    listener_ = make_listener(address_);
    far_listener_ = make_listener(far_address_);
  }
  ~LinuxRig() override {
    kernel_.reset();
    ::close(listener_);
    ::close(far_listener_);
  }
  core::Kernel& kernel() override { return *kernel_; }
  int listener() override { return listener_; }
  core::SocketAddress far_listener() override { return far_address_; }
  core::SocketAddress nobody() override {
    core::SocketAddress address;
    ::close(make_listener(address));
    return address;
  }
  std::unique_ptr<Far> connect() override {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(socket, address_.data(), address_.size()) != 0)
      throw std::runtime_error{"no connection"};
    return std::make_unique<SocketFar>(socket);
  }
  std::vector<core::Completion> wait(size_t count) override {
    std::vector<core::Completion> all;
    // What loopback does is there at once; a few short waits cover the deferred work.
    for (int quiet = 0; quiet < 3 && all.size() < count;) {
      const auto completions = kernel_->submit_and_wait(std::chrono::milliseconds{20});
      all.insert(all.end(), completions.begin(), completions.end());
      quiet = completions.empty() ? quiet + 1 : 0;
    }
    return all;
  }

 private:
  std::unique_ptr<core::Kernel> kernel_;
  core::SocketAddress address_, far_address_;
  int listener_ = -1;
  int far_listener_ = -1;
};

}  // namespace

std::unique_ptr<Rig> make_rig() { return std::make_unique<LinuxRig>(); }

}  // namespace sluice::contract
