// The rules of strict HTTP that a message can break, one reason code a rule, and the status each is
// answered with. Sources: RFC 9110, RFC 9112, RFC 9113; where Sluice is stricter than they are,
// parser.cpp says why.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::http {

enum class Rule : uint8_t {
  none,
  leading_bytes,    // more than one blank line before a request (RFC 9112 2.2 allows ignoring one)
  request_line,     // not exactly: method SP target SP version (RFC 9112 3)
  status_line,      // not exactly: version SP status SP reason (RFC 9112 4)
  method,           // a method nobody knows
  version,          // neither HTTP/1.0 nor HTTP/1.1
  target,           // form does not fit the method, or a byte that no target has (RFC 9112 3.2)
  target_encoding,  // a bad percent-encoding, %00, or overlong UTF-8
  dot_segments,     // ".." above the root, or dots with parameters ("..;x")
  encoded_separator,  // %2F or %5C in the path of a route that does not keep them
  path_parameters,    // with what follows a ';' the path is of another route than without it
  target_too_long,
  head_too_large,
  too_many_fields,
  field_name,  // not a token, or blanks before the colon (RFC 9112 5.1)
  underscore,  // a '_' in a name, on a route that refuses those
  obs_fold,    // a folded line (RFC 9112 5.2)
  bare_cr,     // RFC 9112 2.2
  bare_lf,     // RFC 9112 2.2; llhttp agrees only in strict mode
  control_byte,
  list_options,         // more than 32 options of Connection, TE or Upgrade: nobody has so many
  host_missing,         // RFC 9112 3.2
  host_duplicate,       // RFC 9112 3.2
  host_invalid,         // userinfo, a bad port, a byte that no authority has (RFC 9110 4.2.4, 7.2)
  content_length,       // not a number, too large, or given twice (RFC 9112 6.3)
  length_and_encoding,  // Content-Length with Transfer-Encoding: request smuggling (RFC 9112 6.1)
  transfer_encoding,    // anything but a single final "chunked" (RFC 9112 6.1)
  chunk_size,           // RFC 9112 7.1
  chunk_extension,      // more than 256 bytes of them in a message
  trailer,              // malformed, or more than 8 KiB
  max_forwards,         // of OPTIONS: no number, or given twice (RFC 9110 7.6.2)
  expectation,          // an Expect other than 100-continue (RFC 9110 10.1.1)
  body_too_large,
  // Of HTTP/2 alone; the others hold in both versions.
  pseudo_field,      // missing, unknown, twice, late, or none of this message's (RFC 9113 8.3)
  connection_field,  // a field that is for one connection only, or te beside trailers (8.2.2)
  field_value,       // begins or ends with a blank (8.2.1)
  host_differs,      // Host names another authority than :authority (8.3.1)
};

// "http.obs_fold" and so on; stable.
[[nodiscard]] std::string_view reason_code(Rule rule);
// The status that a client which broke the rule is answered with: 400, 413, 414, 417, 431, 501 or
// 505.
[[nodiscard]] uint16_t status_of(Rule rule);

}  // namespace sluice::http
