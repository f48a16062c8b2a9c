// Answers that Sluice makes itself. Refusals and failures are problem documents (RFC 9457) with one
// stable reason code, which Proxy-Status (RFC 9209) repeats; they reveal no address, no secret, and
// no part of a token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "auth/token_source.h"
#include "core/clock.h"
#include "http/message.h"
#include "http/serializer.h"
#include "proxy/reason.h"

namespace sluice::proxy {

inline constexpr size_t local_reply_bytes_max = 4096;

struct LocalReply {
  uint16_t status = 200;
  Reason reason;
  std::string_view code;  // of the reason
  http::Persistence persistence = http::Persistence::keep_alive;
  std::string_view content_type = "application/json";
  std::string_view body;         // of a success
  std::string_view long_body;    // instead; only its length is written, it follows from where it is
  std::string_view location;     // 3xx
  bool preflight = false;        // 204: what the page asked for is allowed
  core::Duration retry_after{};  // 429 and 503: Retry-After, rounded up to seconds
  uint64_t bytes_max = 0;        // 413: what would be taken
  std::string_view unmet;        // 403: the requirement's name, if it is known
  std::span<const auth::TokenSource> sources;  // 401 and 403: where the route looks for credentials
  uint16_t allowed_methods = 0;                // 405, and OPTIONS that ends here: Allow
};

struct ReplyContext {
  http::Method method = http::Method::get;
  http::Version version = http::Version::http_1_1;
  std::string_view request_id;
  std::string_view date;  // IMF-fixdate (RFC 9110 5.6.7)
  std::span<const http::AddedField> more;
};

// As Retry-After and the like have it: rounded up, at least 1.
[[nodiscard]] uint64_t whole_seconds(core::Duration duration);

// Writes head and body (for HEAD: head only) into `out`, local_reply_bytes_max large and, with a
// location, larger by that; returns the length.
[[nodiscard]] size_t write_local_reply(std::span<std::byte> out, const LocalReply& reply,
                                       const ReplyContext& context);

}  // namespace sluice::proxy
