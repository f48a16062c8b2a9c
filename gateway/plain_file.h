// Reads files that somebody named: whole, of a bounded size, and never waiting for a pipe. What is
// in the way is said so that it can be mended: absence, permission, or the sandbox.
#pragma once

#include <optional>
#include <string>

namespace sluice::gateway {

// Nothing if it can't be read; `why` then says "there is no such file" or what else is in the way.
[[nodiscard]] std::optional<std::string> read_plain_file(const std::string& path, size_t bytes_max,
                                                         std::string& why);

}  // namespace sluice::gateway
