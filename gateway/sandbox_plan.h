// What a configuration needs of the file system once the gateway runs.
#pragma once

#include "config/config.h"
#include "gateway/sandbox.h"

namespace sluice::gateway {

[[nodiscard]] SandboxPlan sandbox_plan(const config::Config& config);

}  // namespace sluice::gateway
