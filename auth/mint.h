// Makes tokens, for the demo, for `sluice token` and for tests.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/hmac.h"
#include "auth/principal.h"

namespace sluice::auth {

struct MintOptions {
  std::string_view secret;
  HmacAlgorithm algorithm = HmacAlgorithm::hs256;
  std::string_view subject;
  EpochSeconds issued_at{};
  EpochSeconds expires{};
  std::vector<std::pair<std::string, std::string>> claims;  // string claims, beside sub, iat and exp
};
[[nodiscard]] std::string mint(const MintOptions& options);

// Signs any header and payload text, for tests of what must be refused.
[[nodiscard]] std::string mint_raw(std::string_view header, std::string_view payload, std::string_view secret, HmacAlgorithm algorithm);

}  // namespace sluice::auth
