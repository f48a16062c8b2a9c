// Upstreams and endpoints as all configurations know them: what their cores' parts
// (proxy/upstream/) have in common. Made by the control thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/upstream/core_upstream.h"

namespace sluice::gateway {

// What all cores share of an upstream, over all configurations that have one of this name.
struct Upstream {
  Upstream(std::string of, uint32_t workers, uint16_t number);
  std::string name;
  uint16_t label;
  proxy::ConnectionPermits permits;
  std::vector<std::unique_ptr<proxy::CoreUpstream>> cores;
};

// An endpoint as all configurations know it that name it: its identity is the upstream's name, what
// was written, and the address. Made by the control thread, which frees it when no configuration
// names it and no core has a connection to it.
struct Endpoint {
  Endpoint(std::shared_ptr<Upstream> of, const config::EndpointConfig& config, uint16_t number);
  [[nodiscard]] uint64_t open() const;

  std::shared_ptr<Upstream> upstream;
  std::string authority;
  core::Destination destination;
  uint16_t label;
  std::shared_ptr<const config::UpstreamTls> tls;  // nullptr: in the clear
  std::string tls_name;                            // asked for and verified
  proxy::EndpointHealth health;
  std::vector<std::unique_ptr<proxy::CoreEndpoint>> cores;
};

}  // namespace sluice::gateway
