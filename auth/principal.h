// Who is calling, as a verified token says.
#pragma once

#include "core/bounded_string.h"
#include "core/clock.h"

namespace sluice::auth {

struct Principal {
  core::BoundedString<128> subject;  // "sub", cut if longer; empty if the token has none
};

// NumericDate (RFC 7519 2), whole seconds since 1970.
using EpochSeconds = std::chrono::time_point<std::chrono::system_clock, std::chrono::seconds>;

}  // namespace sluice::auth
