// What a configuration needs of the file system once the gateway runs.
#pragma once

#include "core/sandbox.h"
#include "proxy/config.h"

namespace sluice::proxy {

[[nodiscard]] core::SandboxPlan sandbox_plan(const Config& config);

}  // namespace sluice::proxy
