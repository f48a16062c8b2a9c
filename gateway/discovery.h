// An OpenID configuration (OpenID Connect Discovery 1.0, 3; RFC 8414): where a provider's key set
// is, and what its tokens call it.
#pragma once

#include <string>

#include "auth/provider.h"
#include "config/config.h"

namespace sluice::gateway {

struct Discovery {
  std::string complaint;  // not empty: it is of no use
  std::string key_set_url;
  auth::Issuer issuer;  // a pattern where it has a place for the tenant: "{tenantid}"
};

[[nodiscard]] Discovery read_discovery(const std::string& text, config::KeyTransport transport);

}  // namespace sluice::gateway
