// Whether what a configuration names can be reached from here: endpoints answer a connection,
// listening addresses are free. Part of `sluice doctor`; waits at most a second for each.
#pragma once

#include <vector>

#include "config/config.h"
#include "gateway/doctor.h"

namespace sluice::gateway {

// `config` gets the addresses of its names.
[[nodiscard]] std::vector<Finding> examine_endpoints(config::Config& config);
[[nodiscard]] std::vector<Finding> examine_listeners(const config::Config& config);

}  // namespace sluice::gateway
