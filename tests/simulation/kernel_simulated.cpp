// The kernel seam over the simulated world. Operations are executed at some time after they were
// submitted: only then are their buffers read or written, so memory that was given back too early
// shows.
#include "tests/simulation/kernel_simulated.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <memory>

#include "core/limits.h"

namespace sluice::simulation {
void (*on_enter_kernel)() = nullptr;
void (*on_leave_kernel)() = nullptr;
}  // namespace sluice::simulation

namespace sluice::core {

using simulation::no_socket;
using simulation::SocketId;
using simulation::World;

namespace {

struct KernelScope {
  KernelScope() {
    if (simulation::on_enter_kernel != nullptr) simulation::on_enter_kernel();
  }
  ~KernelScope() {
    if (simulation::on_leave_kernel != nullptr) simulation::on_leave_kernel();
  }
};

enum class Type : uint8_t {
  accept,
  connect,
  receive,
  receive_pooled,
  send,
  watch,
  readable,
  writable
};

struct Operation {
  Type type;
  Token token;
  int descriptor;
  SocketId socket;
  std::span<std::byte> into{};
  std::span<const std::byte> from{};
  BufferGroup group{};
  AcceptMode mode{};
  uint16_t port = 0;
};

struct Provided {
  BufferId id;
  std::span<std::byte> memory;
};

}  // namespace

struct Kernel::State {
  World& world = World::current();
  std::vector<Operation> submissions;
  std::vector<Token> cancels;
  std::vector<Kernel*> doorbells;
  std::list<Operation> operations;
  struct Waiting {
    Instant ready_at;
    Completion completion;
  };
  std::vector<Waiting> completed;
  std::vector<Completion> batch;
  std::map<int, SocketId> descriptors;
  // By either end.
  struct SimulatedPipe {
    std::string bytes;
    uint32_t capacity = 0;
    int read = -1;
    int write = -1;
  };
  std::map<int, std::shared_ptr<SimulatedPipe>> pipes;
  std::array<std::deque<Provided>, buffer_groups> rings;
  std::array<std::vector<Provided>, buffer_groups> unpublished;
  std::array<std::set<BufferId>, buffer_groups> owned;  // buffers that belong to the kernel
  bool rung = false;
  bool asleep = false;
  Instant wake_at{};
  EngineCounters counters;

  int open(SocketId socket) {
    // The lowest free number, as Linux has it: a descriptor used too long names a stranger.
    const int descriptor = free_descriptor();
    descriptors[descriptor] = socket;
    return descriptor;
  }
  int free_descriptor() const {
    int descriptor = 3;
    while (descriptors.contains(descriptor) || pipes.contains(descriptor)) ++descriptor;
    return descriptor;
  }
  SocketId find(int descriptor) {
    const auto found = descriptors.find(descriptor);
    if (found == descriptors.end()) {
      world.violation("descriptor " + std::to_string(descriptor) + " is used and not open");
      return no_socket;
    }
    return found->second;
  }
  void add(Operation operation) {
    operation.socket = find(operation.descriptor);
    for (const Operation& other : operations) {
      if (other.token == operation.token) world.violation("an operation is begun twice");
    }
    submissions.push_back(operation);
  }
  void complete(const Operation& operation, Error error, int32_t result,
                BufferId buffer = no_buffer, bool more = false, bool unread = false) {
    const Duration delay = world.happens(world.faults().late)
                               ? std::chrono::microseconds{world.random().below(3000)}
                               : Duration{0};
    Instant ready_at = world.now() + delay;
    for (const Waiting& earlier : completed) {  // what is of one operation stays in order
      if (earlier.completion.token == operation.token)
        ready_at = std::max(ready_at, earlier.ready_at);
    }
    completed.push_back({ready_at, {operation.token, error, result, buffer, more, unread}});
  }
  // ECONNRESET, EHOSTUNREACH or ETIMEDOUT: which of them says nothing that matters.
  Error broken_connection() {
    constexpr Error errors[] = {Error::reset, Error::unreachable, Error::timed_out};
    return world.faults().reset == 0 ? Error::reset
                                     : errors[world.random().below(std::size(errors))];
  }
  bool execute(Operation& operation);
  bool execute_receive(Operation& operation);
  bool execute_send(Operation& operation);
  bool execute_accept(Operation& operation);
  void submit();
};

// --- executing -------------------------------------------------------------------------------

// Whether the operation is over.
bool Kernel::State::execute(Operation& operation) {
  World::Socket& socket = world.socket(operation.socket);
  switch (operation.type) {
    case Type::accept: return execute_accept(operation);
    case Type::connect:
      if (!socket.connected && !socket.connecting && !socket.reset) {
        if (world.happens(world.faults().no_ports)) {
          complete(operation, Error::address_in_use, 0);
          return true;
        }
        world.connect_kernel(operation.socket, operation.port);
        return false;
      }
      if (socket.connecting) return false;
      if (socket.reset)
        complete(operation, Error::refused, 0);
      else
        complete(operation, Error::none, 0);
      return true;
    case Type::receive:
    case Type::receive_pooled: return execute_receive(operation);
    case Type::send: return execute_send(operation);
    case Type::watch:
      if (!socket.fin_received && !socket.reset && !socket.read_shut) return false;
      complete(operation, Error::none, 1);
      return true;
    case Type::readable:
      if (!world.is_readable(operation.socket)) return false;
      complete(operation, Error::none, 1);
      return true;
    case Type::writable:
      if (!socket.reset && !socket.write_shut && world.room(operation.socket) == 0) return false;
      complete(operation, Error::none, 1);
      return true;
  }
  return true;
}

bool Kernel::State::execute_accept(Operation& operation) {
  World::Socket& listener = world.socket(operation.socket);
  while (!listener.backlog.empty()) {
    if (world.happens(world.faults().no_sockets)) {
      complete(operation, Error::too_many_files, 0);
      return true;
    }
    const SocketId accepted = listener.backlog.front();
    listener.backlog.pop_front();
    const bool more = operation.mode == AcceptMode::multishot;
    complete(operation, Error::none, open(accepted), no_buffer, more);
    if (!more) return true;
  }
  return false;
}

bool Kernel::State::execute_receive(Operation& operation) {
  World::Socket& socket = world.socket(operation.socket);
  if (!world.is_readable(operation.socket)) return false;
  if (socket.received.empty()) {
    // A FIN is seen as 0, a reset as an error; a shut-down socket reads 0.
    if (socket.reset && !socket.read_shut)
      complete(operation, broken_connection(), 0);
    else
      complete(operation, Error::none, 0);
    return true;
  }
  std::span<std::byte> into = operation.into;
  BufferId id = no_buffer;
  if (operation.type == Type::receive_pooled) {
    auto& ring = rings[static_cast<unsigned>(operation.group)];
    if (ring.empty() || world.happens(world.faults().no_buffers)) {
      counters.buffer_shortages.add();
      complete(operation, Error::no_buffers, 0);
      return true;
    }
    id = ring.front().id;
    into = ring.front().memory;
    ring.pop_front();
    owned[static_cast<unsigned>(operation.group)].erase(id);
  }
  size_t size = std::min(into.size(), socket.received.size());
  if (world.happens(world.faults().short_read)) size = 1 + world.random().below(size);
  const std::string bytes = world.take(operation.socket, size);
  std::memcpy(into.data(), bytes.data(), bytes.size());
  complete(operation, Error::none, static_cast<int32_t>(bytes.size()), id, false,
           !socket.received.empty());
  return true;
}

bool Kernel::State::execute_send(Operation& operation) {
  World::Socket& socket = world.socket(operation.socket);
  if (socket.reset || socket.write_shut) {
    complete(operation, broken_connection(), 0);
    return true;
  }
  if (world.happens(world.faults().no_memory)) {
    complete(operation, Error::no_memory, 0);
    return true;
  }
  size_t size = std::min<uint64_t>(operation.from.size(), world.room(operation.socket));
  if (size == 0) return false;
  if (world.happens(world.faults().short_write)) size = 1 + world.random().below(size);
  world.send(operation.socket, {reinterpret_cast<const char*>(operation.from.data()), size});
  complete(operation, Error::none, static_cast<int32_t>(size));
  return true;
}

void Kernel::State::submit() {
  for (Operation& operation : submissions) operations.push_back(operation);
  submissions.clear();
  for (const Token token : cancels) {
    if (world.happens(world.faults().cancel_misses)) continue;
    for (auto it = operations.begin(); it != operations.end(); ++it) {
      if (it->token != token) continue;
      complete(*it, Error::cancelled, 0);
      if (it->type == Type::connect) world.socket(it->socket).connecting = false;
      operations.erase(it);
      break;
    }
  }
  cancels.clear();
  for (Kernel* sleeper : doorbells) sleeper->state_->rung = true;
  doorbells.clear();
}

// --- the seam --------------------------------------------------------------------------------

std::unique_ptr<Kernel> Kernel::open(const KernelOptions&, KernelUnavailable&) {
  return std::unique_ptr<Kernel>{new Kernel{std::make_unique<State>()}};
}

Kernel::Kernel(std::unique_ptr<State> state) : state_(std::move(state)) {}
Kernel::~Kernel() = default;

void Kernel::accept(Token token, int listener, AcceptMode mode) {
  const KernelScope scope;
  state_->add({.type = Type::accept, .token = token, .descriptor = listener, .mode = mode});
}

void Kernel::connect(Token token, int socket, const Destination& destination) {
  const KernelScope scope;
  state_->add(
      {.type = Type::connect, .token = token, .descriptor = socket, .port = destination.port()});
}

void Kernel::receive(Token token, int socket, std::span<std::byte> into, Readiness) {
  const KernelScope scope;
  if (into.empty()) state_->world.violation("a receive into nothing");
  state_->add({.type = Type::receive, .token = token, .descriptor = socket, .into = into});
}

void Kernel::receive_pooled(Token token, int socket, BufferGroup group, Readiness) {
  const KernelScope scope;
  state_->add({.type = Type::receive_pooled, .token = token, .descriptor = socket, .group = group});
}

void Kernel::send(Token token, int socket, std::span<const std::byte> bytes, Continuation) {
  const KernelScope scope;
  const auto is_another = [&](const Operation& other) {
    return other.type == Type::send && other.descriptor == socket;
  };
  if (std::any_of(state_->operations.begin(), state_->operations.end(), is_another) ||
      std::any_of(state_->submissions.begin(), state_->submissions.end(), is_another)) {
    state_->world.violation("two sends on one socket");
  }
  state_->add({.type = Type::send, .token = token, .descriptor = socket, .from = bytes});
}

void Kernel::watch_hangup(Token token, int socket) {
  const KernelScope scope;
  state_->add({.type = Type::watch, .token = token, .descriptor = socket});
}

void Kernel::watch_readable(Token token, int socket) {
  const KernelScope scope;
  state_->add({.type = Type::readable, .token = token, .descriptor = socket});
}

void Kernel::watch_writable(Token token, int socket) {
  const KernelScope scope;
  state_->add({.type = Type::writable, .token = token, .descriptor = socket});
}

void Kernel::cancel(Token token) {
  const KernelScope scope;
  state_->cancels.push_back(token);
}

Result<int> Kernel::accept_now(int listener) {
  const KernelScope scope;
  World::Socket& socket = state_->world.socket(state_->find(listener));
  if (socket.backlog.empty()) return Error::would_block;
  if (state_->world.happens(state_->world.faults().no_sockets)) return Error::too_many_files;
  const SocketId accepted = socket.backlog.front();
  socket.backlog.pop_front();
  return state_->open(accepted);
}

Result<size_t> Kernel::send_now(int socket, std::span<const std::byte> bytes, Continuation) {
  const KernelScope scope;
  state_->counters.inline_calls.add();
  const SocketId id = state_->find(socket);
  World& world = state_->world;
  World::Socket& target = world.socket(id);
  if (target.reset || target.write_shut) return state_->broken_connection();
  if (world.happens(world.faults().late) && world.happens(25))
    return Error::would_block;  // the ring, then
  if (world.happens(world.faults().no_memory))
    return world.happens(50) ? Error::no_memory : Error::no_buffers;
  uint64_t size = std::min<uint64_t>(bytes.size(), world.room(id));
  if (size == 0 || world.happens(world.faults().short_write))
    size = size == 0 ? 0 : world.random().below(size);
  if (size == 0) return Error::would_block;
  return world.send(id, {reinterpret_cast<const char*>(bytes.data()), size});
}

Result<size_t> Kernel::splice_now(int from, int to, size_t size) {
  const KernelScope scope;
  state_->counters.inline_calls.add();
  World& world = state_->world;
  const auto source = state_->pipes.find(from);
  if (source == state_->pipes.end()) {
    const auto sink = state_->pipes.find(to);
    if (sink == state_->pipes.end() || sink->second->write != to) {
      world.violation("a splice without a pipe");
      return Error::unsupported;
    }
    const SocketId id = state_->find(from);
    const World::Socket& socket = world.socket(id);
    State::SimulatedPipe& pipe = *sink->second;
    if (socket.received.empty() && socket.reset && !socket.read_shut)
      return state_->broken_connection();
    if (socket.received.empty())
      return socket.fin_received || socket.read_shut ? Result<size_t>{size_t{0}}
                                                     : Error::would_block;
    size = std::min({size, socket.received.size(), pipe.capacity - pipe.bytes.size()});
    if (size == 0) return Error::would_block;
    if (world.happens(world.faults().short_read)) size = 1 + world.random().below(size);
    pipe.bytes += world.take(id, size);
    return size;
  }
  State::SimulatedPipe& pipe = *source->second;
  const SocketId id = state_->find(to);
  const World::Socket& socket = world.socket(id);
  if (pipe.bytes.empty() || pipe.read != from) world.violation("a splice out of an empty pipe");
  if (socket.reset || socket.write_shut) return state_->broken_connection();
  size = std::min<uint64_t>({size, pipe.bytes.size(), world.room(id)});
  if (size == 0) return Error::would_block;
  if (world.happens(world.faults().short_write)) size = 1 + world.random().below(size);
  world.send(id, std::string_view{pipe.bytes}.substr(0, size));
  pipe.bytes.erase(0, size);
  return size;
}

Result<Pipe> Kernel::open_pipe(uint32_t bytes) {
  const KernelScope scope;
  if (state_->world.happens(state_->world.faults().no_sockets)) return Error::too_many_files;
  auto made = std::make_shared<State::SimulatedPipe>();
  // Some get less than they asked for.
  made->capacity = state_->world.happens(state_->world.faults().no_sockets) ? 4096 : bytes;
  made->read = state_->free_descriptor();
  state_->pipes[made->read] = made;
  made->write = state_->free_descriptor();
  state_->pipes[made->write] = made;
  return Pipe{.read = made->read, .write = made->write, .capacity = made->capacity};
}

void Kernel::close_pipe(Pipe& pipe) {
  const KernelScope scope;
  if (state_->pipes.erase(pipe.read) + state_->pipes.erase(pipe.write) != 2)
    state_->world.violation("a pipe is closed that is not open");
  pipe = {};
}

Result<size_t> Kernel::receive_now(int socket, std::span<std::byte> into) {
  const KernelScope scope;
  if (into.empty()) state_->world.violation("a receive into nothing");
  const SocketId id = state_->find(socket);
  World& world = state_->world;
  World::Socket& target = world.socket(id);
  if (target.received.empty()) {
    if (target.reset) return state_->broken_connection();
    if (target.fin_received || target.read_shut) return size_t{0};
    return Error::would_block;
  }
  size_t size = std::min(into.size(), target.received.size());
  if (world.happens(world.faults().short_read)) size = 1 + world.random().below(size);
  const std::string bytes = world.take(id, size);
  std::memcpy(into.data(), bytes.data(), bytes.size());
  return bytes.size();
}

Result<size_t> Kernel::peek(int socket) {
  const KernelScope scope;
  const SocketId id = state_->find(socket);
  const World::Socket& target = state_->world.socket(id);
  if (!target.received.empty()) return size_t{1};
  if (target.reset) return Error::reset;
  if (target.fin_received || target.read_shut) return size_t{0};
  return Error::would_block;
}

Result<int> Kernel::open_socket(int) {
  const KernelScope scope;
  if (state_->world.happens(state_->world.faults().no_sockets)) return Error::too_many_files;
  return state_->open(state_->world.make_socket(nullptr));
}

Result<SocketAddress> Kernel::peer_address(int socket) {
  const KernelScope scope;
  const World::Socket& target = state_->world.socket(state_->find(socket));
  if (target.reset) return Error::reset;
  return SocketAddress::ipv4(target.address, 40'000);
}

Result<SocketAddress> Kernel::local_address(int) { return SocketAddress::ipv4(0x7f000001, 8000); }

void Kernel::shutdown_write(int socket) {
  const KernelScope scope;
  state_->world.shutdown_write(state_->find(socket));
}

void Kernel::shutdown_both(int socket) {
  const KernelScope scope;
  state_->world.shutdown_both(state_->find(socket));
}

void Kernel::abort_connection(int socket) {
  const KernelScope scope;
  state_->world.reset(state_->find(socket));
}

void Kernel::close(int descriptor) {
  const KernelScope scope;
  const SocketId id = state_->find(descriptor);
  const auto uses = [&](const Operation& operation) {
    return operation.descriptor == descriptor && operation.socket == id;
  };
  if (std::any_of(state_->operations.begin(), state_->operations.end(), uses) ||
      std::any_of(state_->submissions.begin(), state_->submissions.end(), uses)) {
    state_->world.violation("close(" + std::to_string(descriptor) +
                            ") with an operation in flight");
  }
  state_->descriptors.erase(descriptor);
  state_->world.close(id);
}

Result<uint32_t> Kernel::open_group(BufferGroup, uint32_t entries) { return entries; }

void Kernel::provide(BufferGroup group, BufferId id, std::span<std::byte> memory) {
  const KernelScope scope;
  const auto index = static_cast<unsigned>(group);
  if (!state_->owned[index].insert(id).second)
    state_->world.violation("buffer " + std::to_string(id) + " is provided twice");
  state_->unpublished[index].push_back({id, memory});
}

void Kernel::publish(BufferGroup group) {
  const KernelScope scope;
  const auto index = static_cast<unsigned>(group);
  for (const Provided& provided : state_->unpublished[index])
    state_->rings[index].push_back(provided);
  state_->unpublished[index].clear();
}

std::span<const Completion> Kernel::submit_and_wait(Duration timeout) {
  const KernelScope scope;
  State& state = *state_;
  World& world = state.world;
  state.counters.enters.add();
  state.submit();
  simulation::pump(*this, false);
  state.batch.clear();
  std::vector<State::Waiting> later;
  for (State::Waiting& waiting : state.completed) {
    const bool earlier_waits =
        std::any_of(later.begin(), later.end(), [&](const State::Waiting& other) {
          return other.completion.token == waiting.completion.token;
        });
    if (waiting.ready_at <= world.now() && !earlier_waits &&
        state.batch.size() < limits::completions_per_turn)
      state.batch.push_back(waiting.completion);
    else
      later.push_back(waiting);
  }
  state.completed = std::move(later);
  // Completions of different operations come in any order.
  const auto movable = [&](const Completion& completion) {
    return std::count_if(state.batch.begin(), state.batch.end(), [&](const Completion& other) {
             return other.token == completion.token;
           }) == 1;
  };
  for (size_t i = state.batch.size(); world.faults().late > 0 && i > 1; --i) {
    const size_t other = world.random().below(i);
    if (movable(state.batch[i - 1]) && movable(state.batch[other]))
      std::swap(state.batch[i - 1], state.batch[other]);
  }
  state.counters.completions.add(state.batch.size());
  if (world.tracing) {
    for (const Completion& completion : state.batch) {
      world.trace("  completion kind " + std::to_string(completion.token.kind) + " slot " +
                  std::to_string(completion.token.slot) + ": " +
                  std::string{to_string(completion.error)} + ", " +
                  std::to_string(completion.result));
    }
  }
  state.rung = state.asleep = false;
  static_cast<void>(timeout);
  return state.batch;
}

void Kernel::ring_doorbell(Kernel& sleeper) {
  const KernelScope scope;
  state_->doorbells.push_back(&sleeper);
}

void Kernel::wake() {
  const KernelScope scope;
  state_->rung = true;
}

Instant Kernel::now() const { return state_->world.now(); }
WallTime Kernel::wall_now() const {
  return WallTime{std::chrono::seconds{1'800'000'000}} + state_->world.now().time_since_epoch() +
         state_->world.wall_offset;
}
const EngineCounters& Kernel::counters() const { return state_->counters; }

}  // namespace sluice::core

namespace sluice::simulation {

int adopt(core::Kernel& kernel, SocketId socket) { return kernel.state().open(socket); }

void submit(core::Kernel& kernel, core::Duration timeout) {
  core::Kernel::State& state = kernel.state();
  state.submit();
  state.asleep = timeout > core::Duration{0};
  state.wake_at = timeout == core::forever ? core::Instant::max() : state.world.now() + timeout;
}

bool is_runnable(core::Kernel& kernel) {
  core::Kernel::State& state = kernel.state();
  if (state.rung || state.wake_at <= state.world.now()) return true;
  return std::any_of(state.completed.begin(), state.completed.end(),
                     [&](const auto& waiting) { return waiting.ready_at <= state.world.now(); });
}

core::Instant wakes_at(core::Kernel& kernel) {
  core::Kernel::State& state = kernel.state();
  core::Instant at = state.wake_at;
  for (const auto& waiting : state.completed) at = std::min(at, waiting.ready_at);
  return at;
}

void pump(core::Kernel& kernel, bool eagerly) {
  core::Kernel::State& state = kernel.state();
  for (auto it = state.operations.begin(); it != state.operations.end();) {
    const bool now = eagerly || !state.world.happens(state.world.faults().late);
    it = now && state.execute(*it) ? state.operations.erase(it) : std::next(it);
  }
}

bool is_clean(core::Kernel& kernel, std::string& why) {
  core::Kernel::State& state = kernel.state();
  for (const auto& [descriptor, pipe] : state.pipes) {
    if (pipe->bytes.empty()) continue;
    why = "a pipe with bytes in it was kept";
    return false;
  }
  if (!state.operations.empty() || !state.submissions.empty() || !state.completed.empty())
    why = "operations are left in the kernel";
  else if (!state.descriptors.empty())
    why = std::to_string(state.descriptors.size()) + " descriptors are left open";
  else
    return true;
  return false;
}

bool is_asleep(core::Kernel& kernel) { return kernel.state().asleep && !is_runnable(kernel); }

}  // namespace sluice::simulation
