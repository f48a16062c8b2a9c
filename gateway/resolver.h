// Names to addresses, by DNS and the hosts file (c-ares); `localhost` by what this host says.
// Blocks: never on a core, and never on the control thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/address.h"
#include "gateway/interrupted.h"

namespace sluice::gateway {

struct Resolved {
  std::vector<core::SocketAddress> addresses;  // port 0, sorted, each once
  std::chrono::seconds ttl{0};                 // 0: nothing says how long it holds
  std::string complaint;                       // why there is no address
};
using Names = std::map<std::string, Resolved>;

// All names at once; at most the resolver's timeout.
[[nodiscard]] Names resolve_names(const std::set<std::string>& names,
                                  const config::ResolverConfig& config,
                                  const Interrupted& is_interrupted = {});

// The names of endpoints.
[[nodiscard]] std::set<std::string> names_of(const config::Config& config);
// Gives every endpoint with a name an address: one with several becomes several, one without any
// stays with none. A line for each of those.
[[nodiscard]] std::vector<std::string> resolve_endpoints(config::Config& config,
                                                         const Names& names);
// Whether the endpoints of all upstreams have the same addresses.
[[nodiscard]] bool same_endpoints(const config::Config& a, const config::Config& b);

}  // namespace sluice::gateway
