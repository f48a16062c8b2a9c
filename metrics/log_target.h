// Where log lines go, beside files and named pipes to append to.
#pragma once

#include <string_view>

namespace sluice::metrics {

inline constexpr std::string_view log_to_stdout = "-";
inline constexpr std::string_view log_to_stderr = "/dev/stderr";
inline constexpr std::string_view log_to_nobody = "none";

}  // namespace sluice::metrics
