// All that a core needs to know to judge who calls, and that may change while it runs: keys,
// revocations, API keys. Made whole by the keeper of keys, immutable, and published to every core;
// it lives until the last core has let go of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "auth/key.h"
#include "auth/passwords.h"
#include "auth/provider.h"
#include "auth/revocations.h"

namespace sluice::auth {

// One API key: the caller shows a secret of which only the salted hash is kept.
struct ApiKey {
  std::string id;
  std::array<unsigned char, 16> salt{};
  std::array<unsigned char, 32> hash{};  // SHA-256 of salt and secret
  std::string subject;
};

struct KeySnapshot {
  uint64_t generation = 0;
  std::vector<std::vector<SharedKey>> keys;  // by provider
  Revocations revocations;
  std::vector<std::vector<Issuer>> issuers;      // by provider, as discovered
  std::vector<std::vector<ApiKey>> api_keys;     // by provider; sorted by id
  std::vector<std::vector<PasswordUser>> users;  // by provider; sorted by name
};

}  // namespace sluice::auth
