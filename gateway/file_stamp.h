// Whether a file is another than it was, by what stat(2) says of it.
#pragma once

#include <string>

namespace sluice::gateway {

// Differs when the file was changed or replaced, or has another owner or mode; empty if there is
// none. Of a folder: when something comes into it, or goes.
[[nodiscard]] std::string file_stamp(const std::string& path);

}  // namespace sluice::gateway
