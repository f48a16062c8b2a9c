// Message buffers, taken once at start-up and lent out: to the kernel's provided-buffer ring
// ("stocked"), or to whoever received into one ("held"). Last in, first out, so that a busy core
// works in a small, warm part of the pool; the ring holds only as many as recent turns needed.
//
// One worker owns a pool. Every buffer is in exactly one of the three places; giving one back twice
// is an assertion.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/kernel.h"
#include "core/limits.h"

namespace sluice::core {

// A lent buffer. Plain data: the borrower gives it back by hand, exactly once.
class Buffer {
 public:
  Buffer() = default;
  [[nodiscard]] bool is_held() const { return base_ != nullptr; }
  [[nodiscard]] BufferId id() const { return id_; }
  // Where bytes come in; `headroom` more may be written in front of it, `tailroom` behind it.
  [[nodiscard]] std::span<std::byte> receive_area() const {
    return {base_ + limits::buffer_headroom, limits::buffer_receive_bytes};
  }
  // Where a message that leaves is written.
  [[nodiscard]] std::span<std::byte> send_area() const {
    return {
        base_ + limits::buffer_headroom + limits::buffer_receive_bytes + limits::buffer_tailroom,
        limits::buffer_send_bytes};
  }
  // The same, close behind the `used` bytes of the receive area where they leave enough room, so
  // that a small message touches one page and not two. Only while nothing more is received into the
  // buffer.
  [[nodiscard]] std::span<std::byte> send_area_behind(uint32_t used) const {
    constexpr uint32_t line = 64;
    const uint32_t begin = (used + limits::buffer_tailroom + line - 1) / line * line;
    if (begin + limits::buffer_send_bytes > limits::buffer_receive_bytes) return send_area();
    return receive_area().subspan(begin, limits::buffer_send_bytes);
  }
  // Both of them and what lies between, as one.
  [[nodiscard]] std::span<std::byte> whole_area() const {
    return {receive_area().data(),
            limits::buffer_receive_bytes + limits::buffer_tailroom + limits::buffer_send_bytes};
  }
  // Where the trailers of the message that comes in are kept until it leaves.
  [[nodiscard]] std::span<std::byte> trailer_area() const {
    return {send_area().data() + limits::buffer_send_bytes, limits::buffer_trailer_bytes};
  }

 private:
  friend class BufferPool;
  Buffer(std::byte* base, BufferId id) : base_(base), id_(id) {}
  std::byte* base_ = nullptr;
  BufferId id_ = no_buffer;
};

class BufferPool {
 public:
  // Throws std::bad_alloc if the address space can't be had; memory is touched only as it is used.
  explicit BufferPool(uint32_t count);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // Opens the provided-buffer ring of `group`, for as long as the kernel lives.
  Result<uint32_t> attach(Kernel& kernel, BufferGroup group);

  // The buffer that a completion names: stocked -> held.
  Buffer claim(BufferId id);
  // free -> held, without the kernel. An empty handle: all are held, or in the ring.
  [[nodiscard]] Buffer take();
  // held -> free. The handle is empty afterwards.
  void give_back(Buffer& buffer);
  // free -> stocked, up to the present target. Called before each submission.
  void restock(Kernel& kernel);
  // A receive found the ring empty: stock more while there are any.
  void note_shortage();

  [[nodiscard]] uint32_t count() const { return count_; }
  [[nodiscard]] uint32_t held() const { return held_; }
  [[nodiscard]] bool can_take() const { return !free_.empty(); }
  [[nodiscard]] bool can_serve() const { return stocked_ > 0 || !free_.empty(); }
  [[nodiscard]] static size_t size_bytes(uint32_t count) {
    return size_t{count} * limits::buffer_stride;
  }

 private:
  enum class Place : uint8_t { free, stocked, held };
  [[nodiscard]] std::byte* base(BufferId id) const {
    return memory_ + size_t{id} * limits::buffer_stride;
  }

  uint32_t count_;
  uint32_t stocked_ = 0;
  uint32_t held_ = 0;
  uint32_t target_;
  uint32_t quiet_turns_ = 0;
  BufferGroup group_ = BufferGroup::downstream;
  std::byte* memory_ = nullptr;
  std::vector<BufferId> free_;
  std::vector<Place> places_;
};

}  // namespace sluice::core
