// The service behind the gateway: does with each request what its tag says, and checks that the
// request is what the client meant.
#pragma once

#include <map>
#include <set>

#include "tests/simulation/stories.h"
#include "tests/simulation/world.h"

namespace sluice::simulation {

class Origin : public Actor {
 public:
  Origin(World& world, uint16_t port) : world_(world) { world.listen(port, this); }
  void on_socket(SocketId socket) override;
  [[nodiscard]] uint64_t requests() const { return requests_; }
  // How often each tag arrived.
  [[nodiscard]] const std::map<uint32_t, unsigned>& arrivals() const { return arrivals_; }

 private:
  struct Connection {
    std::string in;
    std::string out;
    bool close_when_sent = false;
    bool deaf = false;  // reads no more
    bool waiting = false;
    bool early_done = false;
    bool tunnels = false;  // echoes what comes
  };
  void progress(SocketId socket);
  void flush(SocketId socket);
  void check(const Message& request, const Tag& tag);
  void echo(SocketId socket, Connection& connection);
  bool agree_to_tunnel(SocketId socket, Connection& connection, const Tag& tag);
  void answer(SocketId socket, const Tag& tag, bool is_head);
  bool answer_early(SocketId socket, Connection& connection);

  World& world_;
  std::map<SocketId, Connection> connections_;
  std::map<uint32_t, unsigned> arrivals_;
  uint64_t requests_ = 0;
};

}  // namespace sluice::simulation
