// An OCSP response that is to be stapled: whether it says that the certificate is good, and until
// when.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "tls/openssl.h"

namespace sluice::tls {

struct OcspReading {
  std::string complaint;   // not empty: of no use
  core::WallTime until{};  // when the next one is due
};

// `chain` as it is sent, the certificate in question first; its issuer signs the response, or names
// who does.
[[nodiscard]] OcspReading judge_ocsp(std::string_view der, std::span<const X509Ptr> chain,
                                     core::WallTime now);

}  // namespace sluice::tls
