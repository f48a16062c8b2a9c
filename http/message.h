// A parsed request or response head. Views point into the bytes it was parsed from and live as long
// as those.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/field.h"
#include "http/path.h"

namespace sluice::http {

// The methods that are forwarded; anything else never gets this far.
enum class Method : uint8_t { get, head, post, put, del, patch, options, other, connect, trace };

[[nodiscard]] std::string_view to_string(
    Method method);  // the label in logs and metrics: "other" for the less usual
[[nodiscard]] bool is_idempotent(Method method);  // RFC 9110 9.2.2

enum class Version : uint8_t { http_1_0, http_1_1 };

// Where a body ends (RFC 9112 6.3).
enum class Framing : uint8_t {
  none,    // no body
  length,  // content_length bytes
  chunked,
  until_close,  // responses only
};

// What the Connection field (and the version) say about afterwards.
enum class Persistence : uint8_t { keep_alive, close };

// Whether the client waits for 100 (Continue) before it sends the body (RFC 9110 10.1.1).
enum class Expectation : uint8_t { none, continue_100 };

struct RequestHead {
  Method method = Method::get;
  Version version = Version::http_1_1;
  Framing framing = Framing::none;
  Persistence persistence = Persistence::keep_alive;
  Expectation expectation = Expectation::none;
  bool has_content_length = false;
  bool accepts_trailers = false;  // TE: trailers
  bool connection_names_fields =
      false;  // beside what every Connection may say: some trailer may be for this hop only
  uint64_t content_length = 0;
  std::string_view upgrade;  // the protocols offered, if Connection says so too; empty in HTTP/1.0
  std::string_view method_text;
  std::string_view
      target;  // as it is forwarded: the normalised path, and the query as it came; or "*"
  std::string_view path;  // normalised; "*" for that target
  PathForm path_form = PathForm::plain;
  bool has_encoded_separator = false;  // in the path: %2F or %5C
  std::string_view query;              // without '?'; empty if there is none
  std::string_view authority;          // of an absolute target, else Host; empty only in HTTP/1.0
  Fields fields;
};

struct ResponseHead {
  uint16_t status = 0;
  Version version = Version::http_1_1;
  Framing framing = Framing::none;
  Persistence persistence = Persistence::keep_alive;
  bool connection_names_fields = false;
  std::string_view upgrade;  // as of a request
  uint64_t content_length = 0;
  bool has_content_length = false;  // also on answers without a body (HEAD, 304): it is passed on
  Fields fields;
};

// The standard reason phrase; empty for a status nobody named.
[[nodiscard]] std::string_view reason_phrase(uint16_t status);

}  // namespace sluice::http
