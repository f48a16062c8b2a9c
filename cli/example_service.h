// The example service behind the demo: one thread, level-triggered epoll, HTTP/1.1 with keep-alive.
// It is there to be called through the gateway (and is the origin of the tests and benchmarks), not
// to be a model of one.
//
//   /               13 bytes                     /bytes?n=N     N bytes, with a length
//   /api/hello      a small JSON object          /chunked?n=N   N bytes in chunks of up to 8 KiB
//   /echo           the request's body           /slow?ms=N     answers after N ms
//   /status/N       that status                  /health        200
//   /headers        the request's head, as it arrived
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "core/address.h"

namespace sluice::cli {

class ExampleService {
 public:
  // Listens at once; the error is a line for people. Port 0 takes a free one.
  [[nodiscard]] std::optional<std::string> listen(const core::SocketAddress& address);
  [[nodiscard]] uint16_t port() const { return port_; }

  void run();    // on the calling thread, until stop()
  void start();  // on a thread of its own
  void stop();
  ~ExampleService();

 private:
  int listener_ = -1;
  int wake_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace sluice::cli
