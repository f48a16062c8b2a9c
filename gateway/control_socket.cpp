// Listens, reads one command from each client, and answers.
#include "gateway/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/destination.h"

namespace sluice::gateway {

namespace {

constexpr size_t message_bytes_max = 4096;
constexpr size_t clients_max = 16;
constexpr int control_backlog = 128;
constexpr size_t descriptors_a_message = 250;  // the kernel takes 253 (SCM_MAX_FD)
constexpr std::chrono::seconds answer_timeout{60};
// A gateway that hangs hands over nothing: whoever wants its place says so soon.
constexpr std::chrono::seconds take_over_timeout{3};
constexpr std::chrono::milliseconds take_over_look{20};

bool send_text(int socket, const std::string& text) {
  return ::send(socket, text.data(), std::min(text.size(), message_bytes_max), MSG_NOSIGNAL) >= 0;
}

bool send_descriptors(int socket, const std::string& text, const int* descriptors, size_t count) {
  std::array<char, CMSG_SPACE(descriptors_a_message * sizeof(int))> control{};
  iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

// One message; descriptors that come with it are added. Nothing if the other side is gone.
std::optional<std::string> receive(int socket, std::vector<int>* descriptors) {
  std::array<char, message_bytes_max> text;
  std::array<char, CMSG_SPACE(descriptors_a_message * sizeof(int))> control{};
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (size <= 0) return std::nullopt;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; at < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++at) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(header) + at * sizeof(int), sizeof descriptor);
      if (descriptors != nullptr)
        descriptors->push_back(descriptor);
      else
        ::close(descriptor);
    }
  }
  return std::string{text.data(), static_cast<size_t>(size)};
}

bool may_speak(int socket) {
  ucred who{};
  socklen_t size = sizeof who;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
         (who.uid == 0 || who.uid == ::geteuid());
}

// Whether a process listens at this name. Never waits: who is too busy to accept listens, too.
bool somebody_listens(const std::string& path) {
  const auto destination = core::Destination::unix_path(path);
  const int probe = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const bool listens = ::connect(probe, destination->data(), destination->size()) == 0 ||
                       (errno != ECONNREFUSED && errno != ENOENT);
  ::close(probe);
  return listens;
}

std::variant<int, Complaint> connect_to(const std::string& named, std::chrono::seconds patience) {
  const std::string path =
      named.starts_with('@') ? named : std::filesystem::absolute(named).string();
  const auto destination = core::Destination::unix_path(path);
  if (!destination) return Complaint{"\"" + path + "\" is no path of a socket"};
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  const timeval timeout{.tv_sec = patience.count(), .tv_usec = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);  // of connect(2), too
  if (::connect(socket, destination->data(), destination->size()) != 0) {
    const Complaint complaint{"no gateway answers at " + path + " (" + std::strerror(errno) +
                              "); it says where it listens with control: PATH or --control PATH"};
    ::close(socket);
    return complaint;
  }
  return socket;
}

// Whether a message has come. Not if time is up, or somebody interrupts.
bool wait_for_message(int socket, std::chrono::steady_clock::time_point until,
                      const Interrupted& is_interrupted) {
  while (std::chrono::steady_clock::now() < until && !is_interrupted()) {
    pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(take_over_look.count())) > 0) return true;
  }
  return false;
}

}  // namespace

ControlSocket::~ControlSocket() {
  for (const Client& client : clients_) ::close(client.socket);
  if (listener_ >= 0) ::close(listener_);
  if (node_ && node_of(path_) == node_) ::unlink(path_.c_str());
}

std::optional<ControlSocket::Node> ControlSocket::node_of(const std::string& path) {
  struct stat info {};
  if (path.empty() || path.front() == '@' || ::lstat(path.c_str(), &info) != 0) return std::nullopt;
  return Node{.device = info.st_dev, .number = info.st_ino};
}

std::optional<Complaint> ControlSocket::listen(const std::string& path, Claim claim) {
  const auto destination = core::Destination::unix_path(path);
  if (!destination) return Complaint{"control: \"" + path + "\" is no path of a socket"};
  listener_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener_ < 0)
    return Complaint{"control: can't make a socket: " + std::string{std::strerror(errno)}};
  if (path.front() != '@') {
    if (auto complaint = bind_name(path, claim)) return complaint;
  } else if (::bind(listener_, destination->data(), destination->size()) != 0 ||
             ::listen(listener_, control_backlog) != 0) {
    return Complaint{"control: can't listen on " + path + ": " + std::strerror(errno)};
  }
  path_ = path;
  node_ = node_of(path);
  return std::nullopt;
}

// Binds another name first, and gives the socket its own when it listens: there is no moment in
// which the name is gone, or is of a socket that nobody listens on.
std::optional<Complaint> ControlSocket::bind_name(const std::string& path, Claim claim) {
  const auto complain = [&](const std::string& what) {
    return Complaint{"control: can't listen on " + path + ": " + what};
  };
  const std::string taken =
      "another gateway answers there; write another path, or take its place with --take-over";
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) return complain("there is a file of this name, and no socket");
    if (claim == Claim::if_free) {
      if (somebody_listens(path)) return complain(taken);
      ::unlink(path.c_str());  // left behind
    }
  }
  const std::string moment = path.substr(0, path.rfind('/') + 1) + "." + std::to_string(::getpid());
  auto destination = core::Destination::unix_path(moment);
  if (!destination) destination = core::Destination::unix_path(path);  // no room for another name
  const std::string bound = destination->path();
  ::unlink(bound.c_str());
  const mode_t before = ::umask(0177);
  const bool is_bound = ::bind(listener_, destination->data(), destination->size()) == 0 &&
                        ::listen(listener_, control_backlog) == 0;
  const int failure = errno;
  ::umask(before);
  if (!is_bound) return complain(failure == EADDRINUSE ? taken : std::strerror(failure));
  if (bound == path) return std::nullopt;
  const unsigned how = claim == Claim::if_free ? RENAME_NOREPLACE : 0;
  if (::renameat2(AT_FDCWD, bound.c_str(), AT_FDCWD, path.c_str(), how) == 0) return std::nullopt;
  const std::string why = errno == EEXIST ? taken : std::strerror(errno);
  ::unlink(bound.c_str());
  return complain(why);
}

std::vector<int> ControlSocket::descriptors() const {
  std::vector<int> all;
  // Whoever waits for an answer has nothing to say meanwhile.
  for (const Client& client : clients_) {
    if (client.ticket == 0) all.push_back(client.socket);
  }
  if (listener_ >= 0) all.push_back(listener_);
  return all;
}

// There is always room for one more: who has been silent for longest goes, but rather not a gateway
// that is about to take over.
void ControlSocket::admit(int socket) {
  if (clients_.size() >= clients_max) {
    const auto silent = std::find_if(clients_.begin(), clients_.end(), [](const Client& client) {
      return client.wish == Client::Wish::none;
    });
    const auto leaves = silent == clients_.end() ? clients_.begin() : silent;
    ::close(leaves->socket);
    clients_.erase(leaves);
  }
  clients_.push_back({.socket = socket});
}

void ControlSocket::serve(const ControlHandlers& handlers) {
  if (listener_ < 0) return;
  for (size_t accepted = 0; accepted < clients_max; ++accepted) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) break;
    if (may_speak(client))
      admit(client);
    else
      ::close(client);
  }
  std::erase_if(clients_, [&](Client& client) {
    if (client.ticket != 0) return false;
    pollfd waiting{.fd = client.socket, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, 0) <= 0) return false;
    const bool stays = answer(client, handlers);
    if (!stays) ::close(client.socket);
    return !stays;
  });
}

void ControlSocket::answer_reload(uint64_t ticket, const std::optional<std::string>& why) {
  std::erase_if(clients_, [&](Client& client) {
    if (client.ticket != ticket) return false;
    client.ticket = 0;
    client.wish = Client::Wish::none;
    const bool stays = send_text(client.socket, why ? "failed: " + *why : "ok");
    if (!stays) ::close(client.socket);
    return !stays;
  });
}

// Whether the client may have more to say. Nothing here waits: an answer that finds no room, since
// earlier ones were not read, is the last.
bool ControlSocket::answer(Client& client, const ControlHandlers& handlers) {
  const auto message = receive(client.socket, nullptr);
  if (!message) return false;
  if (*message == "reload") {
    client.wish = Client::Wish::reloads;
    client.ticket = ++tickets_;
    handlers.reload(client.ticket);
    return true;
  }
  if (*message == "listeners") {
    client.wish = Client::Wish::takes_over;
    const std::vector<int> all = handlers.listeners();
    for (size_t at = 0; at < all.size(); at += descriptors_a_message) {
      if (!send_descriptors(client.socket, "more", all.data() + at,
                            std::min(descriptors_a_message, all.size() - at)))
        return false;
    }
    return send_text(client.socket, "end");
  }
  if (*message == "ready") {
    const bool is_heard = send_text(client.socket, "ok");
    handlers.take_over();
    return is_heard;
  }
  return send_text(client.socket, "failed: unknown message");
}

// --- the other side --------------------------------------------------------------------------

std::string default_control_path() {
  const char* folder = std::getenv("RUNTIME_DIRECTORY");
  return folder == nullptr || *folder == 0 ? "" : std::string{folder} + "/control.sock";
}

std::optional<std::string> ask_to_reload(const std::string& path) {
  auto connection = connect_to(path, answer_timeout);
  if (const auto* complaint = std::get_if<Complaint>(&connection)) return complaint->text;
  const int socket = std::get<int>(connection);
  std::optional<std::string> answer;
  if (send_text(socket, "reload")) answer = receive(socket, nullptr);
  ::close(socket);
  if (!answer) return "the gateway at " + path + " did not answer";
  if (*answer == "ok") return std::nullopt;
  constexpr std::string_view failed = "failed: ";
  return answer->starts_with(failed) ? answer->substr(failed.size()) : *answer;
}

std::variant<Predecessor, Complaint> ask_for_listeners(const std::string& path,
                                                       const Interrupted& is_interrupted) {
  auto connection = connect_to(path, take_over_timeout);
  if (const auto* complaint = std::get_if<Complaint>(&connection)) return *complaint;
  Predecessor predecessor{.connection = std::get<int>(connection), .listeners = {}};
  const auto until = std::chrono::steady_clock::now() + take_over_timeout;
  if (send_text(predecessor.connection, "listeners")) {
    while (wait_for_message(predecessor.connection, until, is_interrupted)) {
      const auto message = receive(predecessor.connection, &predecessor.listeners);
      if (!message) break;
      if (*message == "end") return predecessor;
    }
  }
  for (const int listener : predecessor.listeners) ::close(listener);
  ::close(predecessor.connection);
  return Complaint{"the gateway at " + path + " did not hand over its sockets within " +
                   std::to_string(take_over_timeout.count()) +
                   " s; if it hangs, end it and start without --take-over"};
}

void relieve(Predecessor& predecessor, const Interrupted& is_interrupted) {
  const auto until = std::chrono::steady_clock::now() + take_over_timeout;
  if (send_text(predecessor.connection, "ready") &&
      wait_for_message(predecessor.connection, until, is_interrupted))
    static_cast<void>(receive(predecessor.connection, nullptr));
  ::close(std::exchange(predecessor.connection, -1));
}

}  // namespace sluice::gateway
