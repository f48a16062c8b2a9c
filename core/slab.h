// A fixed number of objects at fixed places, taken and given back in O(1), each with a generation
// that changes when it is freed. Memory is reserved once and touched only when a slot is first
// used.
//
// What is released becomes takable again only after reclaim(), which the worker calls at the end of
// a batch: several completions of one batch may name the same object. One worker owns a slab;
// nothing here is thread-safe.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <memory>
#include <new>

#include "core/assert.h"
#include "core/poison.h"
#include "core/token.h"

namespace sluice::core {

// Pages of 2 MiB where the kernel has them: for objects of more than a page that a request touches
// all over, because with many of them looking up addresses costs more than what is at them.
enum class Backing : uint8_t { small, huge };

template <typename T>
class Slab {
 public:
  explicit Slab(uint32_t capacity, Backing backing = Backing::small)
      : capacity_(capacity), meta_(new Meta[capacity]) {
    void* memory = ::mmap(nullptr, size_bytes(capacity), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc{};
    objects_ = static_cast<T*>(memory);
    if (backing == Backing::huge) ::madvise(memory, size_bytes(capacity), MADV_HUGEPAGE);  // a wish
  }
  ~Slab() {
    for (uint32_t slot = 0; slot < used_; ++slot) {
      if (meta_[slot].state == State::taken) objects_[slot].~T();
    }
    unpoison(objects_, size_bytes(capacity_));
    ::munmap(objects_, size_bytes(capacity_));
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // A fresh object, or nullptr when all are taken.
  T* take() {
    uint32_t slot = 0;
    if (free_ != none) {
      slot = free_;
      free_ = meta_[slot].next;
    } else if (used_ < capacity_) {
      slot = used_++;
    } else {
      return nullptr;
    }
    meta_[slot].state = State::taken;
    ++taken_;
    unpoison(&objects_[slot], sizeof(T));
    return new (&objects_[slot]) T;
  }

  // The object is gone for everyone from here on; its slot comes back with reclaim().
  void release(T& object) {
    const uint32_t slot = slot_of(object);
    SLUICE_ASSERT(meta_[slot].state == State::taken);
    object.~T();
    poison(&objects_[slot], sizeof(T));
    meta_[slot].state = State::released;
    meta_[slot].generation = (meta_[slot].generation + 1) & Token::generation_mask;
    meta_[slot].next = released_;
    released_ = slot;
    --taken_;
  }

  void reclaim() {
    while (released_ != none) {
      const uint32_t slot = released_;
      released_ = meta_[slot].next;
      meta_[slot].state = State::free;
      meta_[slot].next = free_;
      free_ = slot;
    }
  }

  // The object that `slot` and `generation` name, or nullptr if it is gone.
  [[nodiscard]] T* find(uint32_t slot, uint32_t generation) {
    if (slot >= used_ || meta_[slot].state != State::taken || meta_[slot].generation != generation)
      return nullptr;
    return &objects_[slot];
  }

  [[nodiscard]] uint32_t slot_of(const T& object) const {
    return static_cast<uint32_t>(&object - objects_);
  }
  [[nodiscard]] Token token(uint8_t kind, const T& object) const {
    const uint32_t slot = slot_of(object);
    return {kind, meta_[slot].generation, slot};
  }

  [[nodiscard]] uint32_t capacity() const { return capacity_; }
  [[nodiscard]] uint32_t taken() const { return taken_; }
  [[nodiscard]] bool full() const {
    return taken_ == capacity_ || (free_ == none && used_ == capacity_);
  }
  [[nodiscard]] static size_t size_bytes(uint32_t capacity) { return size_t{capacity} * sizeof(T); }

  // Visits every taken object; `visit` may release the one it is given.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (uint32_t slot = 0; slot < used_; ++slot) {
      if (meta_[slot].state == State::taken) visit(objects_[slot]);
    }
  }

 private:
  static constexpr uint32_t none = UINT32_MAX;
  enum class State : uint8_t { free, taken, released };
  struct Meta {
    uint32_t next = none;
    uint32_t generation : 24 = 0;
    State state : 8 = State::free;
  };

  uint32_t capacity_;
  uint32_t used_ = 0;  // slots below this have been taken at least once
  uint32_t taken_ = 0;
  uint32_t free_ = none;
  uint32_t released_ = none;
  std::unique_ptr<Meta[]> meta_;
  T* objects_ = nullptr;
};

}  // namespace sluice::core
