// Lends buffers and takes them back; keeps the kernel's ring stocked.
#include "core/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

#include "core/poison.h"

namespace sluice::core {

namespace {
constexpr uint32_t target_min = 64;
constexpr uint32_t quiet_turns_before_shrinking = 4096;
}  // namespace

BufferPool::BufferPool(uint32_t count)
    : count_(count), target_(std::min(count, target_min)), places_(count, Place::free) {
  SLUICE_ASSERT(count > 0 && count <= 32768);
  void* memory = ::mmap(nullptr, size_bytes(count), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc{};
  memory_ = static_cast<std::byte*>(memory);
  free_.reserve(count);
  for (uint32_t id = count; id > 0; --id) free_.push_back(static_cast<BufferId>(id - 1));
}

BufferPool::~BufferPool() {
  unpoison(memory_, size_bytes(count_));
  ::munmap(memory_, size_bytes(count_));
}

Result<uint32_t> BufferPool::attach(Kernel& kernel, BufferGroup group) {
  group_ = group;
  return kernel.open_group(group, std::bit_ceil(count_));
}

Buffer BufferPool::claim(BufferId id) {
  SLUICE_ASSERT(id < count_ && places_[id] == Place::stocked);
  places_[id] = Place::held;
  --stocked_;
  ++held_;
  unpoison(base(id), limits::buffer_stride);
  return {base(id), id};
}

Buffer BufferPool::take() {
  if (free_.empty()) return {};
  const BufferId id = free_.back();
  free_.pop_back();
  places_[id] = Place::held;
  ++held_;
  unpoison(base(id), limits::buffer_stride);
  return {base(id), id};
}

void BufferPool::give_back(Buffer& buffer) {
  SLUICE_ASSERT(buffer.is_held() && places_[buffer.id()] == Place::held);
  places_[buffer.id()] = Place::free;
  --held_;
  free_.push_back(buffer.id());
  poison(base(buffer.id()), limits::buffer_stride);
  buffer = Buffer{};
}

void BufferPool::restock(Kernel& kernel) {
  if (++quiet_turns_ > quiet_turns_before_shrinking) {
    target_ = std::max(std::min(count_, target_min), target_ / 2);
    quiet_turns_ = 0;
  }
  if (stocked_ >= target_ || free_.empty()) return;
  do {
    const BufferId id = free_.back();
    free_.pop_back();
    places_[id] = Place::stocked;
    ++stocked_;
    unpoison(base(id), limits::buffer_stride);
    kernel.provide(group_, id, {base(id) + limits::buffer_headroom, limits::buffer_receive_bytes});
  } while (stocked_ < target_ && !free_.empty());
  kernel.publish(group_);
}

void BufferPool::note_shortage() {
  target_ = std::min(count_, target_ * 2);
  quiet_turns_ = 0;
}

}  // namespace sluice::core
