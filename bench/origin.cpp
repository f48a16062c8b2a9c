// The endpoint that is measured against: answers as fast as it can, and takes as little of its core
// as it can, so that the rest is the load generator's. Over the engine of the gateway; one thread.
// Knows GET /bytes?n=N, which is N bytes; all else gets a small answer. Bodies are read and thrown
// away.
//
//   origin --listen PORT
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/buffer_pool.h"
#include "core/kernel.h"
#include "core/limits.h"
#include "core/slab.h"

namespace {

using namespace sluice;

constexpr uint32_t connections_max = 20'000;
constexpr size_t block_bytes = 1 << 20;
constexpr std::string_view small_answer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world\n";

enum class Operation : uint8_t { none, accept, receive, send };

struct Connection {
  int socket = -1;
  std::string in;           // of a head that is not whole yet
  uint64_t body_left = 0;   // of a request
  std::string head;         // of an answer
  std::string_view front;   // what is being sent of `head`, or small_answer
  uint64_t bytes_left = 0;  // of the answer's body, from the block
};

std::string_view value_of(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos && at + 2 < head.size();
       at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    const bool fits = std::equal(name.begin(), name.end(), line.begin(),
                                 [](char a, char b) { return a == (b | 0x20); });
    if (fits) return line.substr(line.find_first_not_of(' ', name.size() + 1));
  }
  return {};
}

uint64_t number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

class Origin {
 public:
  Origin(core::Kernel& kernel, int listener)
      : kernel_(kernel),
        listener_(listener),
        pool_(4096),
        connections_(connections_max),
        block_(block_bytes) {}
  bool prepare() { return pool_.attach(kernel_, core::BufferGroup::downstream).ok(); }
  void run() {
    kernel_.accept({static_cast<uint8_t>(Operation::accept), 0, 0}, listener_,
                   core::AcceptMode::multishot);
    while (true) {
      pool_.restock(kernel_);
      for (const core::Completion& completion : kernel_.submit_and_wait(std::chrono::seconds{3600}))
        on_completion(completion);
      connections_.reclaim();
    }
  }

 private:
  core::Token token(Operation operation, const Connection& connection) const {
    return connections_.token(static_cast<uint8_t>(operation), connection);
  }
  void receive(Connection& connection) {
    kernel_.receive_pooled(token(Operation::receive, connection), connection.socket,
                           core::BufferGroup::downstream, core::Readiness::unexpected);
  }
  void close(Connection& connection) {
    kernel_.close(connection.socket);
    connections_.release(connection);
  }

  // One operation is in flight for each connection, never more.
  void on_completion(const core::Completion& completion) {
    if (static_cast<Operation>(completion.token.kind) == Operation::accept) {
      if (completion.error != core::Error::none) return;
      Connection* connection = connections_.take();
      if (connection == nullptr) {
        kernel_.close(completion.result);
        return;
      }
      connection->socket = completion.result;
      receive(*connection);
      return;
    }
    Connection* connection = connections_.find(completion.token.slot, completion.token.generation);
    if (connection == nullptr) return;
    if (static_cast<Operation>(completion.token.kind) == Operation::send) {
      on_sent(*connection, completion);
      return;
    }
    core::Buffer buffer;
    if (completion.buffer != core::no_buffer) buffer = pool_.claim(completion.buffer);
    if (completion.error == core::Error::no_buffers) {
      receive(*connection);
    } else if (!buffer.is_held()) {
      close(*connection);
    } else {
      const auto area = buffer.receive_area().first(static_cast<size_t>(completion.result));
      on_bytes(*connection, {reinterpret_cast<const char*>(area.data()), area.size()});
    }
    if (buffer.is_held()) pool_.give_back(buffer);
  }

  void on_bytes(Connection& connection, std::string_view bytes) {
    if (connection.body_left > 0) {
      const uint64_t taken = std::min<uint64_t>(connection.body_left, bytes.size());
      connection.body_left -= taken;
      if (connection.body_left == 0)
        answer(connection);
      else
        receive(connection);
      return;
    }
    if (!connection.in.empty()) bytes = connection.in.append(bytes);
    const size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      if (connection.in.empty()) connection.in = bytes;
      receive(connection);
      return;
    }
    read_head(connection, bytes.substr(0, end), bytes.size() - end - 4);
    connection.in.clear();
    if (connection.body_left == 0)
      answer(connection);
    else
      receive(connection);
  }

  void read_head(Connection& connection, std::string_view head, size_t follows) {
    constexpr std::string_view bytes_path = "/bytes?n=";
    connection.front = small_answer;
    connection.bytes_left = 0;
    const size_t at = head.find(' ') + 1;
    if (head.substr(at).starts_with(bytes_path)) {
      connection.bytes_left = number(head.substr(at + bytes_path.size()));
      connection.head =
          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(connection.bytes_left) +
          "\r\n\r\n";
      connection.front = connection.head;
    }
    if (!head.starts_with("GET")) connection.body_left = number(value_of(head, "content-length"));
    connection.body_left -= std::min<uint64_t>(connection.body_left, follows);
  }

  void answer(Connection& connection) {
    const auto sent = kernel_.send_now(
        connection.socket,
        std::as_bytes(std::span{connection.front.data(), connection.front.size()}),
        connection.bytes_left > 0 ? core::Continuation::follows : core::Continuation::none);
    if (!sent && sent.error() != core::Error::would_block) {
      close(connection);
      return;
    }
    if (sent) connection.front.remove_prefix(sent.value());
    go_on(connection);
  }

  void go_on(Connection& connection) {
    if (!connection.front.empty()) {
      kernel_.send(token(Operation::send, connection), connection.socket,
                   std::as_bytes(std::span{connection.front.data(), connection.front.size()}),
                   core::Continuation::none);
    } else if (connection.bytes_left > 0) {
      const size_t size = std::min<uint64_t>(connection.bytes_left, block_bytes);
      kernel_.send(token(Operation::send, connection), connection.socket,
                   std::span{block_.data(), size}, core::Continuation::none);
    } else {
      receive(connection);
    }
  }

  void on_sent(Connection& connection, const core::Completion& completion) {
    if (completion.error != core::Error::none) {
      close(connection);
      return;
    }
    const auto sent = static_cast<size_t>(completion.result);
    if (!connection.front.empty())
      connection.front.remove_prefix(sent);
    else
      connection.bytes_left -= sent;
    go_on(connection);
  }

  core::Kernel& kernel_;
  int listener_;
  core::BufferPool pool_;
  core::Slab<Connection> connections_;
  std::vector<std::byte> block_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], "--listen") != 0) {
    std::fprintf(stderr, "origin --listen PORT\n");
    return 2;
  }
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const core::SocketAddress address =
      core::SocketAddress::ipv4(0x7f000001, static_cast<uint16_t>(std::atoi(argv[2])));
  core::KernelUnavailable unavailable;
  const auto kernel = core::Kernel::open({.submission_entries = core::limits::submission_entries,
                                          .completion_entries = core::limits::completion_entries},
                                         unavailable);
  if (kernel == nullptr || ::bind(listener, address.data(), address.size()) != 0 ||
      ::listen(listener, 4096) != 0) {
    std::fprintf(stderr, "origin: %s\n",
                 kernel == nullptr ? unavailable.reason.c_str() : std::strerror(errno));
    return 2;
  }
  const auto origin = std::make_unique<Origin>(*kernel, listener);
  if (!origin->prepare()) return 2;
  origin->run();
}
