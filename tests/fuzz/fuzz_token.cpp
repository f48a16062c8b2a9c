// Any bytes as a token: nothing crashes, and nothing verifies but what was signed.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "auth/mint.h"
#include "auth/token_verifier.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::auth;
  static TokenVerifier verifier{{.secret = "mysecret"}};
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const EpochSeconds now{std::chrono::seconds{1'700'000'000}};
  if (verifier.verify(text, now).refusal == Refusal::none) std::abort();  // nobody guesses a signature
  // The same bytes as header or payload of a token that is signed: only the JSON is to be judged.
  static_cast<void>(verifier.verify(mint_raw(R"({"alg":"HS256"})", text.substr(0, 4000), "mysecret", HmacAlgorithm::hs256), now));
  static_cast<void>(verifier.verify(mint_raw(text.substr(0, 4000), R"({"exp":1700000100})", "mysecret", HmacAlgorithm::hs256), now));
  return 0;
}
