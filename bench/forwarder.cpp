// The floor: a forwarder that parses nothing. Built from the engine of the gateway (core/), with the same techniques: multishot
// accept, pooled receives with POLL_FIRST, sends at once in small batches, one enter a turn. A connection to the endpoint for each
// client's; what one side says, the other is sent. Nothing else is done in user space.
//
//   forwarder --listen PORT --to PORT
#include <netinet/tcp.h>
#include <sys/socket.h>

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
using core::BufferGroup;

constexpr uint32_t pairs_max = 16'384;

enum class Operation : uint8_t { none, accept, connect, from_client, from_endpoint, to_endpoint, to_client };

// A client's connection and its endpoint's; each direction has one receive, or one send, under way.
struct Pair {
  int client = -1;
  int endpoint = -1;
  core::Buffer up, down;
  std::span<const std::byte> up_rest, down_rest;
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
        pairs_(pairs_max) {}

  bool prepare() {
    return from_clients_.attach(kernel_, BufferGroup::downstream) && from_endpoints_.attach(kernel_, BufferGroup::upstream);
  }
  void run() {
    kernel_.accept({static_cast<uint8_t>(Operation::accept), 0, 0}, listener_, core::AcceptMode::multishot);
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
  core::Token token(Operation operation, const Pair& pair) const { return pairs_.token(static_cast<uint8_t>(operation), pair); }

  void on_completion(const core::Completion& completion) {
    const auto operation = static_cast<Operation>(completion.token.kind);
    if (operation == Operation::accept) {
      if (completion.error == core::Error::none) open(completion.result);
      return;
    }
    Pair* pair = pairs_.find(completion.token.slot, completion.token.generation);
    if (pair == nullptr) return;
    --pair->in_flight;
    switch (operation) {
      case Operation::connect:
        if (completion.error != core::Error::none) {
          close(*pair);
          break;
        }
        receive(*pair, Operation::from_client);
        receive(*pair, Operation::from_endpoint);
        break;
      case Operation::from_client: forward(*pair, completion, from_clients_, pair->up, pair->up_rest, Operation::from_client); break;
      case Operation::from_endpoint:
        forward(*pair, completion, from_endpoints_, pair->down, pair->down_rest, Operation::from_endpoint);
        break;
      case Operation::to_endpoint: sent(*pair, completion, from_clients_, pair->up, pair->up_rest, Operation::from_client); break;
      case Operation::to_client: sent(*pair, completion, from_endpoints_, pair->down, pair->down_rest, Operation::from_endpoint); break;
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
    pair->client = client;
    pair->endpoint = endpoint.value();
    ++pair->in_flight;
    kernel_.connect(token(Operation::connect, *pair), pair->endpoint, to_);
  }

  void receive(Pair& pair, Operation operation) {
    const bool is_client = operation == Operation::from_client;
    ++pair.in_flight;
    kernel_.receive_pooled(token(operation, pair), is_client ? pair.client : pair.endpoint,
                           is_client ? BufferGroup::downstream : BufferGroup::upstream, core::Readiness::unexpected);
  }

  void forward(Pair& pair, const core::Completion& completion, core::BufferPool& pool, core::Buffer& buffer,
               std::span<const std::byte>& rest, Operation operation) {
    if (completion.buffer != core::no_buffer) buffer = pool.claim(completion.buffer);
    if (completion.error == core::Error::no_buffers && !pair.is_closing) {
      receive(pair, operation);
      return;
    }
    if (completion.result <= 0 || pair.is_closing) {
      if (buffer.is_held()) pool.give_back(buffer);
      pair.is_closing = true;
      return;
    }
    rest = buffer.receive_area().first(static_cast<size_t>(completion.result));
    send(pair, pool, buffer, rest, operation);
  }

  void send(Pair& pair, core::BufferPool& pool, core::Buffer& buffer, std::span<const std::byte>& rest, Operation from) {
    const bool is_up = from == Operation::from_client;
    const int socket = is_up ? pair.endpoint : pair.client;
    if (is_small_) {
      const auto now = kernel_.send_now(socket, rest, core::Continuation::none);
      if (now) rest = rest.subspan(now.value());
      if (!now && now.error() != core::Error::would_block) pair.is_closing = true;
    }
    if (rest.empty() || pair.is_closing) {
      pool.give_back(buffer);
      if (!pair.is_closing) receive(pair, from);
      return;
    }
    ++pair.in_flight;
    kernel_.send(token(is_up ? Operation::to_endpoint : Operation::to_client, pair), socket, rest, core::Continuation::none);
  }

  void sent(Pair& pair, const core::Completion& completion, core::BufferPool& pool, core::Buffer& buffer, std::span<const std::byte>& rest,
            Operation from) {
    if (completion.error != core::Error::none || pair.is_closing) {
      pool.give_back(buffer);
      pair.is_closing = true;
      return;
    }
    rest = rest.subspan(static_cast<size_t>(completion.result));
    if (!rest.empty()) {
      send(pair, pool, buffer, rest, from);
      return;
    }
    pool.give_back(buffer);
    receive(pair, from);
  }

  void close(Pair& pair) {
    if (!pair.is_closing || pair.in_flight > 0) {
      pair.is_closing = true;
      kernel_.shutdown_both(pair.client);
      kernel_.shutdown_both(pair.endpoint);
      if (pair.in_flight > 0) return;
    }
    kernel_.close(pair.client);
    kernel_.close(pair.endpoint);
    pairs_.release(pair);
  }

  core::Kernel& kernel_;
  int listener_;
  core::Destination to_;
  core::BufferPool from_clients_, from_endpoints_;
  core::Slab<Pair> pairs_;
  bool is_small_ = true;
};

int open_listener(uint16_t port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const core::SocketAddress address = core::SocketAddress::ipv4(0x7f000001, port);
  return ::bind(listener, address.data(), address.size()) == 0 && ::listen(listener, 4096) == 0 ? listener : -1;
}

}  // namespace

int main(int argc, char** argv) {
  uint16_t port = 0, to = 0;
  for (int index = 1; index + 1 < argc; index += 2) {
    if (std::strcmp(argv[index], "--listen") == 0) port = static_cast<uint16_t>(std::atoi(argv[index + 1]));
    if (std::strcmp(argv[index], "--to") == 0) to = static_cast<uint16_t>(std::atoi(argv[index + 1]));
  }
  core::KernelUnavailable unavailable;
  const auto kernel = core::Kernel::open(
      {.submission_entries = core::limits::submission_entries, .completion_entries = core::limits::completion_entries}, unavailable);
  const int listener = open_listener(port);
  if (kernel == nullptr || listener < 0 || to == 0) {
    std::fprintf(stderr, "forwarder --listen PORT --to PORT: %s\n", kernel == nullptr ? unavailable.reason.c_str() : std::strerror(errno));
    return 2;
  }
  const auto forwarder = std::make_unique<Forwarder>(*kernel, listener, to);
  if (!forwarder->prepare()) return 2;
  forwarder->run();
}
