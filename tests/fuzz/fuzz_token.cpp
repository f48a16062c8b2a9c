// Any bytes as a token: nothing crashes, and nothing verifies but what was signed.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "auth/mint.h"
#include "auth/token_verifier.h"

namespace {

using namespace sluice::auth;

// All kinds of keys, and every condition.
struct Judge {
  std::array<Provider, 1> providers;
  std::array<std::string, 2> claims{"sub", "tenant"};
  std::array<Requirement, 1> requirements{
      Requirement{.scopes = {"a"}, .roles_any = {"b"}, .claims = {{"tenant", "acme"}}}};
  KeySnapshot snapshot;
  SigningKey secret = signing_secret("mysecret");
  TokenVerifier verifier{{.providers = providers, .claims = claims, .requirements = requirements}};

  Judge() {
    providers[0].audiences = {"api"};
    providers[0].algorithms = {Algorithm::hs256, Algorithm::es256, Algorithm::eddsa};
    snapshot.keys.emplace_back().push_back(make_secret_key(Algorithm::hs256, "mysecret"));
    for (const Algorithm algorithm : {Algorithm::es256, Algorithm::eddsa}) {
      const auto made = generate_signing_key(algorithm, "k");
      const std::array<Algorithm, 1> allowed{algorithm};
      snapshot.keys[0].push_back(std::get<SharedKey>(
          make_pem_key(to_public_pem(std::get<SigningKey>(made)), allowed, "k")));
    }
    std::string ignored;
    snapshot.revocations = *Revocations::parse("jti x\nsub y before 1700000000", ignored);
    verifier.adopt(snapshot);
  }
  Refusal judge(std::string_view token) {
    Examined examined;
    verifier.examine(token, 1, EpochSeconds{std::chrono::seconds{1'700'000'000}}, examined);
    if (examined.refusal == Refusal::none) verifier.check_signature(examined);
    return examined.refusal;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Judge judge;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (judge.judge(text) == Refusal::none) std::abort();  // nobody guesses a signature
  // The same bytes as header or payload of a token that is signed: only the JSON is to be judged.
  static_cast<void>(
      judge.judge(mint_raw(R"({"alg":"HS256"})", text.substr(0, 4000), judge.secret)));
  static_cast<void>(judge.judge(
      mint_raw(text.substr(0, 4000), R"({"exp":1700000100,"aud":"api"})", judge.secret)));
  return 0;
}
