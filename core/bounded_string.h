// A string of at most Capacity bytes that lives where it is declared. Longer text is cut, and that
// is visible.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::core {

template <size_t Capacity>
class BoundedString {
  static_assert(Capacity <= UINT16_MAX);

 public:
  BoundedString() = default;
  explicit BoundedString(std::string_view text) { assign(text); }

  void assign(std::string_view text) {
    size_ = static_cast<uint16_t>(std::min(text.size(), Capacity));
    if (size_ > 0)
      std::memcpy(bytes_, text.data(), size_);  // memcpy takes no null pointer, whatever the size
  }
  void clear() { size_ = 0; }
  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  static constexpr size_t capacity = Capacity;

 private:
  uint16_t size_ = 0;
  char bytes_[Capacity];
};

}  // namespace sluice::core
