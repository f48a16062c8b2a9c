// Bytes of a body that were received and not taken yet.
#include "http/h2/body_queue.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "http/h2/bounds.h"

namespace sluice::http::h2 {

struct BodyQueue::Block {
  static constexpr uint32_t payload_bytes = body_block_bytes - 16;
  Block* next = nullptr;
  uint32_t begin = 0;
  uint32_t end = 0;
  std::array<std::byte, payload_bytes> bytes;
};

bool BodyQueue::add(std::span<const std::byte> bytes) {
  static_assert(sizeof(Block) == body_block_bytes);
  Block* const last_before = last_;
  const uint32_t end_before = last_ == nullptr ? 0 : last_->end;
  const uint32_t size_before = size_;
  while (!bytes.empty()) {
    if (last_ == nullptr || last_->end == Block::payload_bytes) {
      void* memory = memory_.allocate(sizeof(Block));
      if (memory == nullptr) break;
      auto* block = new (memory) Block;
      (last_ == nullptr ? first_ : last_->next) = block;
      last_ = block;
    }
    const size_t part = std::min<size_t>(bytes.size(), Block::payload_bytes - last_->end);
    std::memcpy(last_->bytes.data() + last_->end, bytes.data(), part);
    last_->end += static_cast<uint32_t>(part);
    size_ += static_cast<uint32_t>(part);
    bytes = bytes.subspan(part);
  }
  if (bytes.empty()) return true;
  // As it was before.
  Block* extra = last_before == nullptr ? first_ : last_before->next;
  (last_before == nullptr ? first_ : last_before->next) = nullptr;
  last_ = last_before;
  if (last_ != nullptr) last_->end = end_before;
  size_ = size_before;
  while (extra != nullptr) {
    Block* next = extra->next;
    memory_.give_back(extra);
    extra = next;
  }
  return false;
}

size_t BodyQueue::take(std::span<std::byte> out) {
  size_t taken = 0;
  while (first_ != nullptr && taken < out.size()) {
    const size_t part = std::min<size_t>(out.size() - taken, first_->end - first_->begin);
    std::memcpy(out.data() + taken, first_->bytes.data() + first_->begin, part);
    first_->begin += static_cast<uint32_t>(part);
    taken += part;
    if (first_->begin == first_->end) drop_first();
  }
  size_ -= static_cast<uint32_t>(taken);
  return taken;
}

void BodyQueue::clear() {
  while (first_ != nullptr) drop_first();
  size_ = 0;
}

void BodyQueue::drop_first() {
  Block* gone = first_;
  first_ = gone->next;
  if (first_ == nullptr) last_ = nullptr;
  memory_.give_back(gone);
}

}  // namespace sluice::http::h2
