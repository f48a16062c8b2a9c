// Which cores this process may use, and pinning the calling thread to one of them.
#pragma once

#include <string>
#include <vector>

namespace sluice::core {

// The affinity mask that the process was started with, in ascending order; never empty.
[[nodiscard]] std::vector<int> available_cores();
// Names the calling thread (at most 15 bytes are kept) and, with core >= 0, pins it.
void enter_thread(const std::string& name, int core);

}  // namespace sluice::core
