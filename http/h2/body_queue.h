// The bytes of a body that came and nobody has taken yet. A stream's window bounds them.
//
// Owned by a stream; its blocks are its core's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "http/h2/memory.h"

namespace sluice::http::h2 {

class BodyQueue {
 public:
  explicit BodyQueue(Memory& memory) : memory_(memory) {}
  ~BodyQueue() { clear(); }
  BodyQueue(const BodyQueue&) = delete;
  BodyQueue& operator=(const BodyQueue&) = delete;

  // False, and nothing is kept, if there is no memory for it.
  [[nodiscard]] bool add(std::span<const std::byte> bytes);
  // Moves as much as there is and as `out` holds.
  size_t take(std::span<std::byte> out);
  void clear();
  [[nodiscard]] uint32_t size() const { return size_; }

 private:
  struct Block;
  void drop_first();

  Memory& memory_;
  Block* first_ = nullptr;
  Block* last_ = nullptr;
  uint32_t size_ = 0;
};

}  // namespace sluice::http::h2
