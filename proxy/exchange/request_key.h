// What a key of the configuration is for a request: what limits count by, and endpoints are chosen
// by.
#pragma once

#include <optional>
#include <span>

#include "config/key_part.h"
#include "limiter/limit.h"
#include "proxy/exchange/request_context.h"

namespace sluice::proxy {

// What the parts name, as one hash.
struct RequestKey {
  limiter::Claim claim;
  uint32_t owner = 0;  // the core that has it
};
// Nothing if the request lacks one of the parts.
[[nodiscard]] std::optional<RequestKey> key_of(Station& station, const RequestContext& context,
                                               std::span<const config::KeyPart> parts, uint64_t id);

}  // namespace sluice::proxy
