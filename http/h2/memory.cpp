// The bounded memory that nghttp2 gets on a core.
#include "http/h2/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "core/assert.h"
#include "core/poison.h"

namespace sluice::http::h2 {

namespace {

constexpr size_t block_bytes_min = 32;

}  // namespace

Memory::Memory(size_t bytes)
    : span_count_(static_cast<uint32_t>((bytes + reserve_bytes + span_bytes - 1) / span_bytes)),
      spans_(new Span[span_count_]),
      free_spans_(span_count_) {
  std::fill(std::begin(with_room_), std::end(with_room_), none);
  void* region = ::mmap(nullptr, capacity_bytes(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) throw std::bad_alloc{};
  base_ = static_cast<std::byte*>(region);
  core::poison(base_, capacity_bytes());
}

Memory::~Memory() {
  core::unpoison(base_, capacity_bytes());
  ::munmap(base_, capacity_bytes());
}

// 32, 40, 48, 56, 64, 80, 96, 112, 128 and so on up to half a span.
uint8_t Memory::class_of(size_t bytes) {
  bytes = std::max(bytes, block_bytes_min);
  const auto doubling = static_cast<unsigned>(std::bit_width(bytes - 1)) - 1;
  const size_t step = size_t{1} << (doubling - 2);
  const size_t quarter = (bytes - 1 - (size_t{1} << doubling)) / step + 1;  // 1 to 4
  if (bytes == block_bytes_min) return 0;
  return static_cast<uint8_t>((doubling - 5) * 4 + quarter);
}

size_t Memory::class_bytes(uint8_t index) {
  const size_t doubling = block_bytes_min << (index / 4);
  return doubling + doubling / 4 * (index % 4);
}

size_t Memory::rounded(size_t bytes) {
  if (bytes <= span_bytes / 2) return class_bytes(class_of(bytes));
  return (bytes + span_bytes - 1) / span_bytes * span_bytes;
}

void* Memory::allocate(size_t bytes, Use use) {
  void* block = nullptr;
  if (may_take(bytes, use))
    block = bytes <= span_bytes / 2 ? take_block(class_of(bytes)) : take_spans(bytes);
  if (block == nullptr) {
    ++refusals_;
    return nullptr;
  }
  core::unpoison(block, bytes);
  ++allocations_;
  used_bytes_ += rounded(bytes);
  peak_bytes_ = std::max(peak_bytes_, used_bytes_);
  return block;
}

bool Memory::may_take(size_t bytes, Use use) {
  if (bytes > block_bytes_max || (use == Use::message && !has_reserve())) return false;
  if (allowed_ == UINT64_MAX || use != refused_use_) return true;
  if (allowed_ == 0) return false;
  --allowed_;
  return true;
}

void* Memory::allocate_zeroed(size_t count, size_t bytes, Use use) {
  if (bytes != 0 && count > block_bytes_max / bytes) {
    ++refusals_;
    return nullptr;
  }
  void* block = allocate(count * bytes, use);
  if (block != nullptr) std::memset(block, 0, count * bytes);
  return block;
}

void* Memory::resize(void* block, size_t bytes, Use use) {
  if (block == nullptr) return allocate(bytes, use);
  const size_t size = size_of(block);
  if (bytes <= size && rounded(bytes) == size) {
    core::unpoison(block, bytes);
    return block;
  }
  void* larger = allocate(bytes, use);
  if (larger == nullptr) return nullptr;
  const size_t kept = std::min(size, bytes);
  core::unpoison(block, kept);
  std::memcpy(larger, block, kept);
  give_back(block);
  return larger;
}

void Memory::give_back(void* block) {
  if (block == nullptr) return;
  const uint32_t index = span_of(block);
  Span& span = spans_[index];
  const size_t size = size_of(block);
  used_bytes_ -= size;
  if (span.kind == whole) {
    core::poison(block, size);
    const uint32_t end = index + span.span_count;
    for (uint32_t at = index; at < end; ++at) spans_[at].kind = unused;
    free_spans_ += end - index;
    search_from_ = std::min(search_from_, index);
    return;
  }
  SLUICE_ASSERT(span.kind < class_count && span.taken > 0);
  const bool was_full = span.free == nullptr && (span.carved + 1U) * size > span_bytes;
  core::unpoison(block, sizeof(FreeBlock));
  auto* freed = static_cast<FreeBlock*>(block);
  freed->next = span.free;
  span.free = freed;
  core::poison(block, size);
  --span.taken;
  if (was_full) link(with_room_[span.kind], index);
  if (span.taken == 0) ++free_spans_;
  // The last span of a size stays: a quiet core does not cut it anew for each request.
  if (span.taken == 0 && (span.next != none || span.previous != none)) {
    unlink(with_room_[span.kind], index);
    span.kind = unused;
    search_from_ = std::min(search_from_, index);
  }
}

uint32_t Memory::span_of(const void* block) const {
  const auto offset = static_cast<size_t>(static_cast<const std::byte*>(block) - base_);
  SLUICE_ASSERT(offset < capacity_bytes());
  return static_cast<uint32_t>(offset / span_bytes);
}

size_t Memory::size_of(const void* block) const {
  const Span& span = spans_[span_of(block)];
  return span.kind == whole ? span.span_count * span_bytes : class_bytes(span.kind);
}

void* Memory::take_block(uint8_t index) {
  uint32_t at = with_room_[index];
  if (at == none) at = open_span(index);
  if (at == none) return nullptr;
  Span& span = spans_[at];
  const size_t size = class_bytes(index);
  void* block = span.free;
  if (block != nullptr) {
    core::unpoison(block, sizeof(FreeBlock));
    span.free = span.free->next;
  } else {
    block = base_of(at) + size * span.carved++;
  }
  if (span.taken++ == 0) --free_spans_;
  if (span.free == nullptr && (span.carved + 1U) * size > span_bytes) unlink(with_room_[index], at);
  return block;
}

uint32_t Memory::open_span(uint8_t index) {
  const auto find = [&] {
    while (search_from_ < span_count_ && spans_[search_from_].kind != unused) ++search_from_;
    return search_from_ < span_count_;
  };
  if (!find() && !(reclaim_empty_spans() && find())) return none;
  const uint32_t at = search_from_++;
  spans_[at] = Span{.kind = index};
  link(with_room_[index], at);
  return at;
}

// Those that were kept though nothing of them is in use. True if there were any.
bool Memory::reclaim_empty_spans() {
  bool found = false;
  for (uint32_t at = 0; at < span_count_; ++at) {
    if (spans_[at].kind >= class_count || spans_[at].taken > 0) continue;
    unlink(with_room_[spans_[at].kind], at);
    spans_[at].kind = unused;
    search_from_ = std::min(search_from_, at);
    found = true;
  }
  return found;
}

// The first run of unused spans that is long enough: such blocks are rare and short-lived.
void* Memory::take_spans(size_t bytes) {
  const auto wanted = static_cast<uint32_t>((bytes + span_bytes - 1) / span_bytes);
  uint32_t run = 0;
  for (uint32_t at = search_from_; at < span_count_; ++at) {
    run = spans_[at].kind == unused ? run + 1 : 0;
    if (run < wanted) continue;
    const uint32_t first = at + 1 - wanted;
    for (uint32_t span = first; span <= at; ++span) spans_[span] = Span{.kind = covered};
    spans_[first].kind = whole;
    spans_[first].span_count = static_cast<uint8_t>(wanted);
    free_spans_ -= wanted;
    return base_of(first);
  }
  return reclaim_empty_spans() ? take_spans(bytes) : nullptr;
}

void Memory::link(uint32_t& list, uint32_t span) {
  spans_[span].previous = none;
  spans_[span].next = list;
  if (list != none) spans_[list].previous = span;
  list = span;
}

void Memory::unlink(uint32_t& list, uint32_t span) {
  const Span& gone = spans_[span];
  if (gone.previous != none) spans_[gone.previous].next = gone.next;
  if (gone.next != none) spans_[gone.next].previous = gone.previous;
  if (list == span) list = gone.next;
  spans_[span].next = spans_[span].previous = none;
}

}  // namespace sluice::http::h2
