// A certificate that vouches for itself, for trials: ECDSA on P-256, for servers, no authority.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>

namespace sluice::tls {

struct SelfSigned {
  std::string chain;  // PEM
  std::string key;    // PEM; secret
};

// `names` are DNS names, wildcards and addresses; at least one. Nothing if one of them is not, or
// OpenSSL fails.
[[nodiscard]] std::optional<SelfSigned> make_self_signed(std::span<const std::string> names,
                                                         std::chrono::hours lifetime);

// A DNS name, "*." and a DNS name, or an IP address.
[[nodiscard]] bool is_certificate_name(const std::string& name);

}  // namespace sluice::tls
