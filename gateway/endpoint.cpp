// An endpoint's health and ejection, shared by all cores.
#include "gateway/endpoint.h"

namespace sluice::gateway {

Upstream::Upstream(std::string of, uint32_t workers, uint16_t number)
    : name(std::move(of)), label(number) {
  for (uint32_t index = 0; index < workers; ++index)
    cores.push_back(std::make_unique<proxy::CoreUpstream>(permits, label));
}

Endpoint::Endpoint(std::shared_ptr<Upstream> of, const config::EndpointConfig& config,
                   uint16_t number)
    : upstream(std::move(of)),
      authority(config.authority),
      destination(config.destination),
      label(number) {
  for (const auto& core : upstream->cores)
    cores.push_back(std::make_unique<proxy::CoreEndpoint>(destination, health, *core, label));
}

uint64_t Endpoint::open() const {
  uint64_t sum = 0;
  for (const auto& core : cores) sum += core->open();
  return sum;
}

}  // namespace sluice::gateway
