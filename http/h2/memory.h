// The memory of HTTP/2 sessions: one region per core, reserved at start, of which nghttp2 and the
// streams take and give back blocks. Nothing grows beyond it: without a free block allocate()
// returns nullptr, and whoever asked ends its stream or its session with an answer.
//
// A part of it, the reserve, is nghttp2's alone. Sessions that ask it for something while the
// reserve is touched are ended instead (Session), because not every path of nghttp2 bears to be
// refused: 1.52 frees an item twice when a queue of its can't grow.
//
// The region is cut into spans of 64 KiB. A span serves blocks of one size, four sizes to a
// doubling, until all of them are free again; what is larger than half a span takes whole spans.
// Nothing is written in front of a block: a block's span says how large it is.
//
// One worker owns it; nothing here is thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sluice::http::h2 {

// Who asks: a stream, for what a peer sent; or nghttp2, for itself.
enum class Use : uint8_t { message, protocol };

class Memory {
 public:
  static constexpr size_t span_bytes = 64 * 1024;
  static constexpr size_t block_bytes_max = 4 * span_bytes;
  // What one call of nghttp2 may take: some hundred streams that are refused, and a field's value.
  static constexpr size_t reserve_bytes = 16 * span_bytes;

  // Rounded up to whole spans; the reserve is on top of it. Throws std::bad_alloc if the address
  // space can't be had; memory is touched only as it is used.
  explicit Memory(size_t bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Aligned to 8 bytes; nullptr if there is no room, or more than block_bytes_max is asked for.
  [[nodiscard]] void* allocate(size_t bytes, Use use = Use::message);
  [[nodiscard]] void* allocate_zeroed(size_t count, size_t bytes, Use use = Use::message);
  // Keeps what was there; nullptr, and the old block untouched, if there is no room.
  [[nodiscard]] void* resize(void* block, size_t bytes, Use use = Use::message);
  void give_back(void* block);  // nullptr is nothing

  // What a block of so many bytes takes.
  [[nodiscard]] static size_t rounded(size_t bytes);

  [[nodiscard]] size_t capacity_bytes() const { return size_t{span_count_} * span_bytes; }
  [[nodiscard]] size_t used_bytes() const { return used_bytes_; }
  [[nodiscard]] size_t peak_bytes() const { return peak_bytes_; }
  [[nodiscard]] uint64_t allocations() const { return allocations_; }
  [[nodiscard]] uint64_t refusals() const { return refusals_; }
  [[nodiscard]] bool has_reserve() const { return free_spans_ >= reserve_bytes / span_bytes; }
  // Of that use, the n-th allocation from now on is refused, and every one after it: for tests.
  void refuse_after(uint64_t allocations, Use use) {
    allowed_ = allocations;
    refused_use_ = use;
  }

 private:
  static constexpr uint32_t none = UINT32_MAX;
  static constexpr uint8_t class_count = 41;
  static constexpr uint8_t unused = 0xff;
  static constexpr uint8_t whole = 0xfe;    // the first span of a large block
  static constexpr uint8_t covered = 0xfd;  // one of its others

  struct FreeBlock {
    FreeBlock* next;
  };
  struct Span {
    FreeBlock* free = nullptr;
    uint32_t next = none;  // of its list
    uint32_t previous = none;
    uint16_t taken = 0;   // blocks in use
    uint16_t carved = 0;  // blocks that were in use at least once
    uint8_t kind = unused;
    uint8_t span_count = 0;  // of a large block
  };

  [[nodiscard]] static uint8_t class_of(size_t bytes);
  [[nodiscard]] static size_t class_bytes(uint8_t index);
  [[nodiscard]] std::byte* base_of(uint32_t span) const { return base_ + span * span_bytes; }
  [[nodiscard]] uint32_t span_of(const void* block) const;
  [[nodiscard]] size_t size_of(const void* block) const;
  [[nodiscard]] bool may_take(size_t bytes, Use use);
  [[nodiscard]] void* take_block(uint8_t index);
  [[nodiscard]] void* take_spans(size_t bytes);
  [[nodiscard]] uint32_t open_span(uint8_t index);
  bool reclaim_empty_spans();
  void link(uint32_t& list, uint32_t span);
  void unlink(uint32_t& list, uint32_t span);

  uint32_t span_count_;
  std::byte* base_ = nullptr;
  std::unique_ptr<Span[]> spans_;
  uint32_t with_room_[class_count];  // spans with a free block, by class
  uint32_t search_from_ = 0;         // no span before it is unused
  uint32_t free_spans_;              // unused, or kept and empty
  size_t used_bytes_ = 0;
  size_t peak_bytes_ = 0;
  uint64_t allocations_ = 0;
  uint64_t refusals_ = 0;
  uint64_t allowed_ = UINT64_MAX;
  Use refused_use_ = Use::message;
};

}  // namespace sluice::http::h2
