// Events, sockets and time of the simulated world.
#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdio>

#include "core/assert.h"

namespace sluice::simulation {

namespace {
World* the_world = nullptr;
}

World::World(uint64_t seed, const Faults& faults)
    : outer_(the_world), random_(seed), faults_(faults) {
  the_world = this;
}
World::~World() { the_world = outer_; }

World& World::current() {
  SLUICE_ASSERT(the_world != nullptr);
  return *the_world;
}

// --- events ----------------------------------------------------------------------------------

void World::at(core::Instant when, std::function<void()> event) {
  events_.emplace(std::max(when, now_), std::move(event));
}

bool World::run_due() {
  bool ran = false;
  while (!events_.empty() && events_.begin()->first <= now_ && violated_.empty()) {
    auto event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    event();
    ran = true;
  }
  return ran;
}

core::Instant World::next_event() const {
  return events_.empty() ? core::Instant::max() : events_.begin()->first;
}

void World::violation(const std::string& what) {
  trace("VIOLATION: " + what);
  if (violated_.empty()) violated_ = what;
}

void World::trace(const std::string& line) {
  if (!tracing) return;
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(
                                now_ - core::Instant{std::chrono::seconds{1'000'000}})
                                .count();
  std::printf("%10.3f ms  %s\n", static_cast<double>(microseconds) / 1000, line.c_str());
}

// --- sockets ---------------------------------------------------------------------------------

SocketId World::make_socket(Actor* actor) {
  const SocketId id = next_id_++;
  Socket& made = sockets_[id];
  made.actor = actor;
  made.window = happens(20) ? 200 + random_.below(2000) : 4096 + random_.below(256 * 1024);
  return id;
}

SocketId World::listen(uint16_t port, Actor* actor) {
  const SocketId id = make_socket(actor);
  sockets_[id].listening = true;
  listeners_[port].push_back(id);
  return id;
}

SocketId World::connect_actor(Actor* actor, uint16_t port, uint32_t from_address) {
  auto& group = listeners_[port];
  const SocketId mine = make_socket(actor);
  Socket& client = sockets_[mine];
  std::vector<SocketId> open;
  for (const SocketId id : group) {
    if (!sockets_[id].closed) open.push_back(id);
  }
  if (open.empty()) {
    client.reset = true;
    return mine;
  }
  const SocketId listener = open[random_.below(open.size())];
  const SocketId theirs = make_socket(nullptr);
  Socket& server = sockets_[theirs];
  client.peer = theirs;
  server.peer = mine;
  client.connected = server.connected = true;
  server.address = from_address;
  after(wire_delay(), [this, listener, theirs] {
    if (sockets_[listener].closed) {
      reset(theirs);
      return;
    }
    sockets_[listener].backlog.push_back(theirs);
    ++changes;
  });
  return mine;
}

void World::connect_kernel(SocketId id, uint16_t port) {
  sockets_[id].connecting = true;
  after(wire_delay(), [this, id, port] {
    Socket& mine = sockets_[id];
    if (!mine.connecting) return;
    mine.connecting = false;
    ++changes;
    auto& group = listeners_[port];
    if (group.empty() || sockets_[group.front()].closed || happens(faults_.connect_fails)) {
      mine.reset = true;
      return;
    }
    Actor* actor = sockets_[group.front()].actor;
    const SocketId theirs = make_socket(actor);
    sockets_[theirs].peer = id;
    sockets_[theirs].connected = true;
    mine.peer = theirs;
    mine.connected = true;
    actor->on_socket(theirs);
  });
}

core::Duration World::wire_delay() {
  const uint64_t microseconds = happens(10) ? random_.below(20'000) : random_.below(200);
  return std::chrono::microseconds{microseconds};
}

void World::touch(SocketId id) {
  ++changes;
  Socket& touched = sockets_[id];
  if (touched.actor != nullptr && !touched.closed) touched.actor->on_socket(id);
}

void World::deliver(SocketId to, std::string bytes, bool fin) {
  Socket& receiver = sockets_[to];
  receiver.on_the_wire += bytes.size();
  receiver.last_delivery = std::max(receiver.last_delivery, now_ + wire_delay());
  at(receiver.last_delivery, [this, to, bytes = std::move(bytes), fin] {
    Socket& target = sockets_[to];
    target.on_the_wire -= bytes.size();
    if (target.reset) return;
    if (target.closed) {  // data for nobody: the sender learns that
      if (!bytes.empty()) reset(to);
      return;
    }
    if (happens(faults_.reset)) {
      reset(to);
      return;
    }
    target.received += bytes;
    if (fin) target.fin_received = true;
    touch(to);
  });
}

uint64_t World::room(SocketId from) {
  Socket& sender = sockets_[from];
  if (sender.reset || sender.write_shut || sender.peer == no_socket) return 0;
  Socket& receiver = sockets_[sender.peer];
  const uint64_t used = receiver.on_the_wire + receiver.received.size();
  return used >= receiver.window ? 0 : receiver.window - used;
}

size_t World::send(SocketId from, std::string_view bytes) {
  const size_t size = std::min<uint64_t>(bytes.size(), room(from));
  if (size == 0) return 0;
  const SocketId to = sockets_[from].peer;
  // In one piece, or in several that arrive apart.
  size_t sent = 0;
  while (sent < size) {
    const size_t piece =
        happens(faults_.short_write) ? 1 + random_.below(size - sent) : size - sent;
    deliver(to, std::string{bytes.substr(sent, piece)}, false);
    sent += piece;
  }
  return size;
}

std::string World::take(SocketId id, size_t size_max) {
  Socket& receiver = sockets_[id];
  std::string bytes = receiver.received.substr(0, size_max);
  receiver.received.erase(0, bytes.size());
  if (!bytes.empty() && receiver.peer != no_socket) touch(receiver.peer);  // there is room again
  return bytes;
}

void World::shutdown_write(SocketId id) {
  Socket& mine = sockets_[id];
  if (mine.write_shut || mine.reset) return;
  mine.write_shut = true;
  if (mine.peer != no_socket) deliver(mine.peer, {}, true);
}

void World::shutdown_both(SocketId id) {
  Socket& mine = sockets_[id];
  // As Linux has it: a socket that is not connected takes no notice.
  if (!mine.connected && !mine.connecting) return;
  if (mine.connecting) {
    mine.connecting = false;
    mine.reset = true;
  }
  shutdown_write(id);
  mine.read_shut = true;
  ++changes;
}

void World::close(SocketId id) {
  Socket& mine = sockets_[id];
  if (mine.closed) return;
  const bool unread = !mine.received.empty();
  mine.closed = true;
  // Whoever waits there was let in by the kernel: only a shortage of sockets is a reason to turn
  // them away.
  if (!mine.backlog.empty() && faults_.no_sockets == 0)
    violation("a listener closes while " + std::to_string(mine.backlog.size()) +
              " wait to be accepted");
  for (const SocketId waiting : mine.backlog) reset(waiting);
  mine.backlog.clear();
  if (unread) {
    reset(id);  // bytes that nobody read turn the FIN into a reset
  } else {
    shutdown_write(id);
  }
}

void World::reset(SocketId id) {
  Socket& mine = sockets_[id];
  if (mine.reset) return;
  mine.reset = true;
  mine.connecting = false;
  if (mine.peer != no_socket && !sockets_[mine.peer].reset) {
    sockets_[mine.peer].reset = true;
    touch(mine.peer);
  }
  touch(id);
}

}  // namespace sluice::simulation
