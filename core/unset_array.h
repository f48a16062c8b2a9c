// An array of plain data whose elements are not made before they are assigned: for what is part of
// an object that is made for every request, and is seldom all used.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

namespace sluice::core {

template <typename T, size_t N>
class UnsetArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  UnsetArray() {}
  UnsetArray(const UnsetArray& other) : values_(other.values_) {}
  UnsetArray& operator=(const UnsetArray& other) {
    values_ = other.values_;
    return *this;
  }

  [[nodiscard]] T& operator[](size_t index) { return values_[index]; }
  [[nodiscard]] const T& operator[](size_t index) const { return values_[index]; }
  [[nodiscard]] T* data() { return values_.data(); }
  [[nodiscard]] const T* data() const { return values_.data(); }
  [[nodiscard]] T* begin() { return values_.data(); }
  [[nodiscard]] const T* begin() const { return values_.data(); }
  [[nodiscard]] static constexpr size_t size() { return N; }

 private:
  union {
    std::array<T, N> values_;
  };
};

}  // namespace sluice::core
