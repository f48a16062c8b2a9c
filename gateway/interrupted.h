// Whether to stop waiting for others; asked every few milliseconds. Empty: never.
#pragma once

#include <functional>

namespace sluice::gateway {

using Interrupted = std::function<bool()>;

}  // namespace sluice::gateway
