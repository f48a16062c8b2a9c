// Pipes for bodies that go from socket to socket without being copied (splice(2)). A pipe is taken
// when bytes are there and given back when it is empty, so their number bounds the blocked writers
// and not the connections. Opened as they are needed.
//
// One worker owns a pool.
#pragma once

#include <cstdint>
#include <vector>

#include "core/counter.h"
#include "core/kernel.h"

namespace sluice::core {

class PipePool {
 public:
  // At most `count` at a time.
  PipePool(Kernel& kernel, uint32_t count) : kernel_(kernel), left_(count) { free_.reserve(count); }
  ~PipePool();
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  // Nothing if all are in use, or the kernel gives no more of a size that is worth it: copy, then.
  [[nodiscard]] Pipe take();
  void give_back(Pipe& pipe);  // an empty one
  void discard(Pipe& pipe);    // bytes may be in it

  [[nodiscard]] uint32_t taken() const { return taken_; }
  Counter misses;

 private:
  Kernel& kernel_;
  uint32_t left_;  // to be opened
  uint32_t taken_ = 0;
  std::vector<Pipe> free_;
};

}  // namespace sluice::core
