// Zeroed memory straight from the kernel: address space at once, memory only as it is touched. One
// owner; given back when the object goes.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace sluice::core {

// An array of `count` T whose all-zero bytes are a valid T. Throws std::bad_alloc if the address
// space can't be had.
template <typename T>
class Pages {
 public:
  explicit Pages(size_t count) : size_bytes_(count * sizeof(T)) {
    void* memory = ::mmap(nullptr, size_bytes_, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc{};
    items_ = static_cast<T*>(memory);
  }
  ~Pages() { ::munmap(items_, size_bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  [[nodiscard]] T& operator[](size_t index) { return items_[index]; }
  [[nodiscard]] const T& operator[](size_t index) const { return items_[index]; }

 private:
  size_t size_bytes_;
  T* items_ = nullptr;
};

}  // namespace sluice::core
