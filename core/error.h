// What can go wrong at the kernel, by name, and Result<T> to carry it. Every errno is mapped once,
// in error.cpp.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "core/assert.h"

namespace sluice::core {

enum class Error : uint8_t {
  none,
  would_block,     // EAGAIN: nothing to read, or no room to write, now
  no_buffers,      // ENOBUFS: the provided-buffer ring was empty when data came
  reset,           // ECONNRESET, EPIPE, ECONNABORTED: the other side is gone
  refused,         // ECONNREFUSED
  timed_out,       // ETIMEDOUT, ETIME
  unreachable,     // EHOSTUNREACH, ENETUNREACH and their kin
  cancelled,       // ECANCELED
  too_many_files,  // EMFILE, ENFILE
  no_memory,       // ENOMEM, ENOBUFS of a socket call
  interrupted,     // EINTR
  address_in_use,  // EADDRINUSE, EADDRNOTAVAIL
  permission,      // EACCES, EPERM
  unsupported,     // ENOSYS, EINVAL, EOPNOTSUPP
  unexpected,      // anything else: counted, the connection is closed
};

[[nodiscard]] std::string_view to_string(Error error);

// `number` is a positive errno; 0 is Error::none.
[[nodiscard]] Error error_from_errno(int number);

// A value, or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, error) {
    SLUICE_DEBUG_ASSERT(error != Error::none);
  }

  [[nodiscard]] bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] T& value() { return *std::get_if<0>(&content_); }
  [[nodiscard]] const T& value() const { return *std::get_if<0>(&content_); }
  [[nodiscard]] T value_or(T other) const { return ok() ? value() : other; }
  [[nodiscard]] Error error() const { return ok() ? Error::none : *std::get_if<1>(&content_); }

 private:
  std::variant<T, Error> content_;
};

}  // namespace sluice::core
