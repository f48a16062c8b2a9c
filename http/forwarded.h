// What the endpoint is told of the way of a request: X-Forwarded-* and Forwarded (RFC 7239) are one
// family. What a trusted peer says of it is taken if it is well formed and short; all else is said
// by us.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/field.h"

namespace sluice::http {

class Writer;

// In which fields it is said.
enum class ForwardedForm : uint8_t { x, rfc7239, both, none };

// Whether the peer of the connection is believed.
enum class Trust : uint8_t { none, peer };

inline constexpr size_t forwarded_value_bytes_max = 256;   // of each that is taken
inline constexpr size_t forwarded_chain_bytes_max = 2048;  // of all of Forwarded
inline constexpr size_t request_id_bytes_max = 128;

struct Forwarding {
  ForwardedForm form = ForwardedForm::x;
  Trust trust = Trust::none;
  std::string_view peer;  // the address of the connection's other end
  std::string_view proto = "http";
  std::string_view host;  // as asked for
  std::string_view port;
  std::string_view outer_prefix;  // that a trusted peer stripped
  std::string_view prefix;        // that we strip
};

// Puts in place of what `ours` says what a trusted peer says; what is left out follows from the
// rest. Views into the fields.
[[nodiscard]] Forwarding read_forwarding(const Fields& fields, const Forwarding& ours);
// X-Request-Id of a trusted peer; empty if there is none that can be taken.
[[nodiscard]] std::string_view read_request_id(const Fields& fields);

// Whether a field of the family goes on as it came.
[[nodiscard]] bool keeps_forwarded(const Fields& fields, const Field& field, ForwardedForm form,
                                   Trust trust);
void write_forwarding(Writer& writer, const Fields& fields, const Forwarding& forwarding);

}  // namespace sluice::http
