// The floor: a forwarder that parses nothing. Built from the engine of the gateway (core/), with
// the same techniques: multishot accept, pooled receives with POLL_FIRST, sends at once in small
// batches, splice where much comes, one enter a turn. A connection to the endpoint for each
// client's; what one side says, the other is sent. Nothing else is done in user space.
//
//   forwarder --listen PORT --to PORT
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/buffer_pool.h"
#include "core/kernel.h"
#include "core/limits.h"
#include "core/pipe_pool.h"
#include "core/slab.h"
#include "proxy/splice.h"

namespace {

using namespace sluice;
using core::BufferGroup;

constexpr uint32_t pairs_max = 16'384;
constexpr uint32_t pipes_max = 64;

enum class Operation : uint8_t { none, accept, connect, received, sent, readable, writable };
enum class Way : uint8_t { up, down };

struct Socket {
  int descriptor = -1;
  core::Result<size_t> splice_in(core::Kernel& kernel, const core::Pipe& pipe, size_t size) const {
    return kernel.splice_now(descriptor, pipe.write, size);
  }
  core::Result<size_t> splice_out(core::Kernel& kernel, const core::Pipe& pipe, size_t size) const {
    return kernel.splice_now(pipe.read, descriptor, size);
  }
};

// What goes one way: one receive, one send or one wait is under way.
struct Direction {
  core::Buffer buffer;
  std::span<const std::byte> rest;
  proxy::Splice splice;
};

struct Pair {
  Socket client, endpoint;
  Direction up, down;
  uint8_t in_flight = 0;
  bool is_closing = false;
};

class Forwarder {
 public:
  Forwarder(core::Kernel& kernel, int listener, uint16_t to)
      : kernel_(kernel),
        listener_(listener),
        to_(core::SocketAddress::ipv4(0x7f000001, to)),
        from_clients_(2048),
        from_endpoints_(2048),
        pairs_(pairs_max),
        pipes_(kernel, pipes_max) {}

  bool prepare() {
    return from_clients_.attach(kernel_, BufferGroup::downstream) &&
           from_endpoints_.attach(kernel_, BufferGroup::upstream);
  }
  void run() {
    kernel_.accept({static_cast<uint8_t>(Operation::accept), 0, 0}, listener_,
                   core::AcceptMode::multishot);
    while (true) {
      from_clients_.restock(kernel_);
      from_endpoints_.restock(kernel_);
      const auto completions = kernel_.submit_and_wait(std::chrono::seconds{3600});
      is_small_ = completions.size() <= core::limits::small_batch;
      for (const core::Completion& completion : completions) on_completion(completion);
      pairs_.reclaim();
    }
  }

 private:
  // The way is the lowest bit of a token's kind.
  core::Token token(Operation operation, const Pair& pair, Way way) const {
    return pairs_.token(
        static_cast<uint8_t>(static_cast<unsigned>(operation) << 1 | static_cast<unsigned>(way)),
        pair);
  }
  static Direction& direction(Pair& pair, Way way) { return way == Way::up ? pair.up : pair.down; }
  static Socket& source(Pair& pair, Way way) {
    return way == Way::up ? pair.client : pair.endpoint;
  }
  static Socket& sink(Pair& pair, Way way) { return way == Way::up ? pair.endpoint : pair.client; }
  core::BufferPool& pool(Way way) { return way == Way::up ? from_clients_ : from_endpoints_; }

  void on_completion(const core::Completion& completion) {
    const auto operation = static_cast<Operation>(completion.token.kind >> 1);
    const auto way = static_cast<Way>(completion.token.kind & 1);
    if (completion.token.kind == static_cast<uint8_t>(Operation::accept)) {
      if (completion.error == core::Error::none) open(completion.result);
      return;
    }
    Pair* pair = pairs_.find(completion.token.slot, completion.token.generation);
    if (pair == nullptr) return;
    --pair->in_flight;
    switch (operation) {
      case Operation::connect:
        if (completion.error != core::Error::none) {
          pair->is_closing = true;
          break;
        }
        receive(*pair, Way::up);
        receive(*pair, Way::down);
        break;
      case Operation::received: on_received(*pair, way, completion); break;
      case Operation::sent: on_sent(*pair, way, completion); break;
      case Operation::readable:
      case Operation::writable:
        if (!pair->is_closing) splice(*pair, way);
        break;
      case Operation::none:
      case Operation::accept: break;
    }
    if (pair->is_closing) close(*pair);
  }

  void open(int client) {
    Pair* pair = pairs_.take();
    const auto endpoint = kernel_.open_socket(AF_INET);
    if (pair == nullptr || !endpoint) {
      kernel_.close(client);
      return;
    }
    pair->client.descriptor = client;
    pair->endpoint.descriptor = endpoint.value();
    ++pair->in_flight;
    kernel_.connect(token(Operation::connect, *pair, Way::up), endpoint.value(), to_);
  }

  // What came much at a time goes on by splice, as long as it does.
  void receive(Pair& pair, Way way) {
    ++pair.in_flight;
    if (direction(pair, way).splice.is_bulk) {
      kernel_.watch_readable(token(Operation::readable, pair, way), source(pair, way).descriptor);
    } else {
      kernel_.receive_pooled(token(Operation::received, pair, way), source(pair, way).descriptor,
                             way == Way::up ? BufferGroup::downstream : BufferGroup::upstream,
                             core::Readiness::unexpected);
    }
  }

  void on_received(Pair& pair, Way way, const core::Completion& completion) {
    Direction& of = direction(pair, way);
    if (completion.buffer != core::no_buffer) of.buffer = pool(way).claim(completion.buffer);
    if (completion.error == core::Error::no_buffers && !pair.is_closing) {
      receive(pair, way);
      return;
    }
    if (completion.result <= 0 || pair.is_closing) {
      if (of.buffer.is_held()) pool(way).give_back(of.buffer);
      pair.is_closing = true;
      return;
    }
    of.rest = of.buffer.receive_area().first(static_cast<size_t>(completion.result));
    of.splice.is_bulk = completion.unread && of.rest.size() == of.buffer.receive_area().size();
    send(pair, way);
  }

  void send(Pair& pair, Way way) {
    Direction& of = direction(pair, way);
    if (is_small_) {
      const auto now =
          kernel_.send_now(sink(pair, way).descriptor, of.rest, core::Continuation::none);
      if (now) of.rest = of.rest.subspan(now.value());
      if (!now && now.error() != core::Error::would_block) pair.is_closing = true;
    }
    if (of.rest.empty() || pair.is_closing) {
      pool(way).give_back(of.buffer);
      if (!pair.is_closing) receive(pair, way);
      return;
    }
    ++pair.in_flight;
    kernel_.send(token(Operation::sent, pair, way), sink(pair, way).descriptor, of.rest,
                 core::Continuation::none);
  }

  void on_sent(Pair& pair, Way way, const core::Completion& completion) {
    Direction& of = direction(pair, way);
    if (completion.error != core::Error::none || pair.is_closing) {
      pool(way).give_back(of.buffer);
      pair.is_closing = true;
      return;
    }
    of.rest = of.rest.subspan(static_cast<size_t>(completion.result));
    if (!of.rest.empty()) {
      send(pair, way);
      return;
    }
    pool(way).give_back(of.buffer);
    receive(pair, way);
  }

  void splice(Pair& pair, Way way) {
    proxy::Splice& of = direction(pair, way).splice;
    if (!of.pipe.is_open()) of.pipe = pipes_.take();
    if (!of.pipe.is_open()) {
      of.is_bulk = false;
      receive(pair, way);
      return;
    }
    uint64_t remaining = UINT64_MAX;
    const proxy::Spliced spliced =
        proxy::splice_on(kernel_, of, source(pair, way), sink(pair, way), remaining);
    of.note_size(spliced.moved);
    if (spliced.next == proxy::Spliced::Next::writable) {
      ++pair.in_flight;
      kernel_.watch_writable(token(Operation::writable, pair, way), sink(pair, way).descriptor);
    } else if (spliced.next == proxy::Spliced::Next::readable) {
      pipes_.give_back(of.pipe);
      receive(pair, way);
    } else {
      pair.is_closing = true;
    }
  }

  void close(Pair& pair) {
    if (!pair.is_closing || pair.in_flight > 0) {
      pair.is_closing = true;
      kernel_.shutdown_both(pair.client.descriptor);
      kernel_.shutdown_both(pair.endpoint.descriptor);
      if (pair.in_flight > 0) return;
    }
    for (Direction* of : {&pair.up, &pair.down}) {
      if (of->splice.pipe.is_open()) pipes_.discard(of->splice.pipe);
    }
    kernel_.close(pair.client.descriptor);
    kernel_.close(pair.endpoint.descriptor);
    pairs_.release(pair);
  }

  core::Kernel& kernel_;
  int listener_;
  core::Destination to_;
  core::BufferPool from_clients_, from_endpoints_;
  core::Slab<Pair> pairs_;
  core::PipePool pipes_;
  bool is_small_ = true;
};

int open_listener(uint16_t port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const core::SocketAddress address = core::SocketAddress::ipv4(0x7f000001, port);
  return ::bind(listener, address.data(), address.size()) == 0 && ::listen(listener, 4096) == 0
             ? listener
             : -1;
}

}  // namespace

int main(int argc, char** argv) {
  uint16_t port = 0, to = 0;
  for (int index = 1; index + 1 < argc; index += 2) {
    if (std::strcmp(argv[index], "--listen") == 0)
      port = static_cast<uint16_t>(std::atoi(argv[index + 1]));
    if (std::strcmp(argv[index], "--to") == 0)
      to = static_cast<uint16_t>(std::atoi(argv[index + 1]));
  }
  std::signal(SIGPIPE, SIG_IGN);  // splice(2) knows no MSG_NOSIGNAL
  core::KernelUnavailable unavailable;
  const auto kernel = core::Kernel::open({.submission_entries = core::limits::submission_entries,
                                          .completion_entries = core::limits::completion_entries},
                                         unavailable);
  const int listener = open_listener(port);
  if (kernel == nullptr || listener < 0 || to == 0) {
    std::fprintf(stderr, "forwarder --listen PORT --to PORT: %s\n",
                 kernel == nullptr ? unavailable.reason.c_str() : std::strerror(errno));
    return 2;
  }
  const auto forwarder = std::make_unique<Forwarder>(*kernel, listener, to);
  if (!forwarder->prepare()) return 2;
  forwarder->run();
}
