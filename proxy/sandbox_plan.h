// What a configuration needs of the file system once the gateway runs.
#pragma once

#include "core/sandbox.h"
#include "config/config.h"

namespace sluice::proxy {

[[nodiscard]] core::SandboxPlan sandbox_plan(const config::Config& config);

}  // namespace sluice::proxy
