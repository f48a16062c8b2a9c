// Makes tokens and keys, for the demo, for `sluice token` and `sluice keys`, and for tests.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/key.h"
#include "auth/principal.h"

namespace sluice::auth {

// What signs: a secret for HS, a private key for the others.
struct SigningKey {
  Algorithm algorithm = Algorithm::hs256;
  std::string kid;  // stands in the header unless it is empty
  std::string secret;
  Pkey pkey;
};

[[nodiscard]] SigningKey signing_secret(std::string_view secret,
                                        Algorithm algorithm = Algorithm::hs256);
// A private key in PEM (PKCS #8, or the older forms).
[[nodiscard]] KeyResult<SigningKey> read_signing_key(const std::string& pem,
                                                     std::optional<Algorithm> algorithm,
                                                     std::string kid);
// A fresh pair of the kind that the algorithm needs; RSA of `rsa_bits`.
[[nodiscard]] KeyResult<SigningKey> generate_signing_key(Algorithm algorithm, std::string kid,
                                                         unsigned rsa_bits = 3072);
[[nodiscard]] std::string to_private_pem(const SigningKey& key);
[[nodiscard]] std::string to_public_pem(const SigningKey& key);
// The name that follows from the key itself (RFC 7638).
[[nodiscard]] std::string thumbprint(const SigningKey& key);

struct MintOptions {
  std::string_view secret;  // of HS256, unless `key` is there
  const SigningKey* key = nullptr;
  std::string_view subject;
  EpochSeconds issued_at{};
  EpochSeconds expires{};
  std::vector<std::pair<std::string, std::string>>
      claims;             // string claims, beside sub, iat and exp
  std::string_view more;  // members as JSON, e.g. R"("aud":["a"])"; empty: none
};
[[nodiscard]] std::string mint(const MintOptions& options);

// Signs any header and payload text, for tests of what must be refused.
[[nodiscard]] std::string mint_raw(std::string_view header, std::string_view payload,
                                   const SigningKey& key);
// The raw signature of a text; empty if OpenSSL refuses.
[[nodiscard]] std::vector<unsigned char> sign(const SigningKey& key, std::string_view text);

}  // namespace sluice::auth
