// What the kernel holds of one object: one bit an operation. Nothing is freed before none() is
// true.
#pragma once

#include <cstdint>

#include "core/assert.h"

namespace sluice::core {

// Operation is an enum class with enumerators 0 to 7.
template <typename Operation>
class InFlight {
 public:
  void begin(Operation operation) {
    SLUICE_ASSERT(!has(operation));
    bits_ = static_cast<uint8_t>(bits_ | bit(operation));
  }
  void end(Operation operation) {
    SLUICE_ASSERT(has(operation));
    bits_ = static_cast<uint8_t>(bits_ & ~bit(operation));
  }
  [[nodiscard]] bool has(Operation operation) const { return (bits_ & bit(operation)) != 0; }
  [[nodiscard]] bool none() const { return bits_ == 0; }

 private:
  static constexpr uint8_t bit(Operation operation) {
    return static_cast<uint8_t>(1U << static_cast<unsigned>(operation));
  }
  uint8_t bits_ = 0;
};

}  // namespace sluice::core
