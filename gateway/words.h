// What a gateway tells people about itself, on standard error.
#pragma once

#include <string>

#include "gateway/gateway.h"
#include "gateway/host_settings.h"

namespace sluice::gateway {

// One line, "sluice: ...". Never waits: what a full pipe does not take is lost, and that is said.
void say(const std::string& text);

void warn_of_short_secrets(const config::Config& config);
[[nodiscard]] std::string upstreams_in_words(const config::Config& config);
// Once requests are served. `connections_wanted` is as in host_warnings().
void say_what_runs(const Gateway& gateway, uint32_t connections_wanted, const HostSettings& host);

}  // namespace sluice::gateway
