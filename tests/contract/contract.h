// One suite about what operations, closing and descriptors do, run against the real kernel and the
// simulated one: otherwise the simulation would only prove our idea of Linux. A Rig gives the suite
// a kernel, and somebody at the other end of each connection.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/kernel.h"

namespace sluice::contract {

class Far {  // the other end
 public:
  virtual ~Far() = default;
  virtual size_t write(std::string_view bytes) = 0;  // what was taken
  virtual std::string read() = 0;                    // what is there
  virtual bool saw_fin() = 0;                        // after everything was read
  virtual bool saw_reset() = 0;
  virtual void finish() = 0;  // sends FIN
  virtual void reset() = 0;
};

class Rig {
 public:
  virtual ~Rig() = default;
  virtual core::Kernel& kernel() = 0;
  virtual int listener() = 0;
  virtual core::SocketAddress far_listener() = 0;  // somebody accepts there
  virtual core::SocketAddress nobody() = 0;        // nobody does
  virtual std::unique_ptr<Far> connect() = 0;      // connects to listener()
  // Completions until there are `count`, or nothing more comes.
  virtual std::vector<core::Completion> wait(size_t count) = 0;
};

std::unique_ptr<Rig> make_rig();

}  // namespace sluice::contract
