// Bytes from the system for what must not be guessed. Each use draws its own: nothing is derived
// from something else that may become known.
#pragma once

#include <sys/random.h>

#include <stdexcept>
#include <type_traits>

namespace sluice::core {

// Throws std::runtime_error where the system has none.
template <typename T>
[[nodiscard]] T fresh_secret() {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 256);  // so much comes whole
  T secret{};
  if (::getrandom(&secret, sizeof secret, 0) != static_cast<ssize_t>(sizeof secret))
    throw std::runtime_error{"getrandom failed"};
  return secret;
}

}  // namespace sluice::core
