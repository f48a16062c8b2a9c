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

struct ClaimPlace {
  uint16_t begin = 0;
  uint16_t size = 0;
};

// `Bytes` of all claims together.
template <size_t Bytes>
class BasicPrincipal {
 public:
  uint64_t meets = 0;  // a bit a requirement

  static constexpr size_t bytes_max = Bytes;

  BasicPrincipal() = default;
  BasicPrincipal(const BasicPrincipal& other) { *this = other; }
  BasicPrincipal& operator=(const BasicPrincipal& other) {
    if (this != &other) copy(other);
    return *this;
  }
  // What is there, and no more: it is done for every request. It fits.
  template <size_t Others>
  void copy(const BasicPrincipal<Others>& other) {
    meets = other.meets;
    used_ = other.used_;
    places_ = other.places_;
    std::memcpy(bytes_.data(), other.bytes_.data(), used_);
  }

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
  [[nodiscard]] size_t size() const { return used_; }

 private:
  template <size_t>
  friend class BasicPrincipal;
  uint16_t used_ = 0;
  std::array<ClaimPlace, claims_max> places_{};
  std::array<char, bytes_max> bytes_;
};

// Claims that become fields have room for a list of groups; a claim that finds none is left out or
// refused, as its provider says, and never cut.
using Principal = BasicPrincipal<4096>;
inline constexpr size_t subject_bytes_max = 512;

// NumericDate (RFC 7519 2), whole seconds since 1970.
using EpochSeconds = std::chrono::time_point<std::chrono::system_clock, std::chrono::seconds>;

}  // namespace sluice::auth
