// base64url without padding (RFC 4648 5, RFC 7515 2), canonical only: one text for one sequence of
// bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice::auth {

// Decodes into `out` (at least 3/4 of the text); nothing on padding, foreign characters, an
// impossible length or set trailing bits.
[[nodiscard]] std::optional<size_t> base64url_decode(std::string_view text,
                                                     std::span<unsigned char> out);
[[nodiscard]] std::string base64url_encode(std::span<const unsigned char> bytes);

}  // namespace sluice::auth
