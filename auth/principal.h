// Who is calling, as a verified token says: its subject, and the claims that the configuration asks
// for.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/clock.h"

namespace sluice::auth {

// Claims are known by their place in the configuration's list of the names that are asked for; the
// subject comes first.
inline constexpr unsigned claims_max = 16;
inline constexpr unsigned subject_claim = 0;

// Requirements of routes are known by their place in the configuration; which of them a token meets
// is found out once.
inline constexpr unsigned requirements_max = 64;
inline constexpr uint8_t no_requirement = UINT8_MAX;

class Principal {
 public:
  uint64_t meets = 0;  // a bit a requirement

  Principal() = default;
  Principal(const Principal& other) { *this = other; }
  // What is there, and no more: it is done for every request.
  Principal& operator=(const Principal& other) {
    meets = other.meets;
    used_ = other.used_;
    places_ = other.places_;
    std::memcpy(bytes_.data(), other.bytes_.data(), used_);
    return *this;
  }

  static constexpr size_t bytes_max =
      512;  // of all claims together; a token with more is refused, never cut

  // Each claim once. False if there is no room.
  [[nodiscard]] bool set(unsigned claim, std::string_view value) {
    if (value.size() > bytes_max - used_) return false;
    if (!value.empty()) std::memcpy(bytes_.data() + used_, value.data(), value.size());
    places_[claim] = {used_, static_cast<uint16_t>(value.size())};
    used_ = static_cast<uint16_t>(used_ + value.size());
    return true;
  }
  // Empty if the token has none.
  [[nodiscard]] std::string_view claim(unsigned claim) const {
    return {bytes_.data() + places_[claim].begin, places_[claim].size};
  }
  [[nodiscard]] std::string_view subject() const { return claim(subject_claim); }

 private:
  struct Place {
    uint16_t begin = 0;
    uint16_t size = 0;
  };
  uint16_t used_ = 0;
  std::array<Place, claims_max> places_{};
  std::array<char, bytes_max> bytes_;
};

// NumericDate (RFC 7519 2), whole seconds since 1970.
using EpochSeconds = std::chrono::time_point<std::chrono::system_clock, std::chrono::seconds>;

}  // namespace sluice::auth
