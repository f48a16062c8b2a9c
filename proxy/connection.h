// What the connections of both sides have in common: a socket, what the kernel holds of it, and
// bytes that go past us (proxy/splice.h). What they mean and how they end is the business of each
// side.
#pragma once

#include <cstdint>

#include "core/in_flight.h"
#include "core/kernel.h"
#include "proxy/outbox.h"

namespace sluice::proxy {

class Worker;

class Connection {
 public:
  // From the socket into the pipe, at most `size` bytes; 0 is the other side's FIN.
  [[nodiscard]] core::Result<size_t> splice_in(Worker& worker, const core::Pipe& pipe, size_t size);
  // From the pipe out of the socket.
  [[nodiscard]] core::Result<size_t> splice_out(Worker& worker, const core::Pipe& pipe,
                                                size_t size);
  [[nodiscard]] int socket() const { return socket_; }
  void end_output(Worker& worker);  // nothing more is sent: the other side sees the end

 protected:
  enum class Op : uint8_t { connect, receive, send, watch, readable, writable };

  // Completes as a hint that it is worth trying; asked for while it waits already, it goes on
  // waiting.
  void wait_readable(Worker& worker, core::Token token);
  void wait_writable(Worker& worker, core::Token token);

  core::InFlight<Op> in_flight_;
  int socket_ = -1;
  uint64_t bytes_sent_ = 0;
  Outbox* outbox_ = nullptr;  // while a send is in flight
};

}  // namespace sluice::proxy
