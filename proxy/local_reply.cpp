#include "proxy/local_reply.h"

#include <algorithm>
#include <array>

#include "http/serializer.h"

namespace sluice::proxy {

namespace {

// The error types of RFC 9209 2.3 that fit.
std::string_view proxy_error(uint16_t status, Reason reason) {
  if (reason == Event::upstream_refused) return "connection_refused";
  if (reason == Event::upstream_closed) return "connection_terminated";
  if (reason == Event::upstream_connect_timeout) return "connection_timeout";
  if (status == 502) return "http_protocol_error";
  if (status == 503) return "destination_unavailable";
  if (status == 504) return "http_response_timeout";
  if (status == 401 || status == 403 || status == 429) return "http_request_denied";
  return "http_request_error";
}

uint64_t whole_seconds(core::Duration duration) {
  return static_cast<uint64_t>(std::max<core::Duration::rep>(1, (duration.count() + 999'999'999) / 1'000'000'000));
}

// {"type":"about:blank","title":"Too Many Requests","status":429,"code":"limit.address"}
size_t write_problem(std::span<std::byte> out, const LocalReply& reply) {
  http::Writer body{out};
  body.put(R"({"type":"about:blank","title":")").put(http::reason_phrase(reply.status)).put(R"(","status":)").number(reply.status);
  body.put(R"(,"code":")").put(reply.reason.code()).put("\"}\n");
  return body.size();
}

void write_limit_fields(http::Writer& head, const LocalReply& reply) {
  const limiter::Rate& rate = reply.limit->rate;
  constexpr uint64_t second = 1'000'000'000;
  const uint64_t window = std::max<uint64_t>(1, rate.period_ns / second);
  head.put("RateLimit: \"address\";r=0;t=").number(whole_seconds(reply.retry_after));
  head.put("\r\nRateLimit-Policy: \"address\";q=").number(std::max<uint64_t>(1, rate.requests * window * second / rate.period_ns));
  head.put(";w=").number(window).put("\r\n");
}

void write_challenge(http::Writer& head, Reason reason) {
  // RFC 6750 3: no error code when there was no token at all.
  if (reason == auth::Refusal::missing || reason == auth::Refusal::scheme) {
    head.put("WWW-Authenticate: Bearer realm=\"sluice\"\r\n");
  } else {
    head.put("WWW-Authenticate: Bearer realm=\"sluice\", error=\"invalid_token\", error_description=\"");
    head.put(reason.code()).put("\"\r\n");
  }
}

}  // namespace

size_t write_local_reply(std::span<std::byte> out, const LocalReply& reply, const ReplyContext& context) {
  std::array<std::byte, 256> problem;
  std::string_view body = reply.body;
  std::string_view type = reply.content_type;
  const bool is_problem = reply.status >= 400 && reply.reason != Reason{};
  if (is_problem) {
    body = {reinterpret_cast<const char*>(problem.data()), write_problem(problem, reply)};
    type = "application/problem+json";
  }
  http::Writer head{out};
  head.put("HTTP/1.1 ").number(reply.status).put(" ").put(http::reason_phrase(reply.status)).put("\r\n");
  head.field("Date", context.date).field("Content-Type", type);
  head.put("Content-Length: ").number(body.size() + reply.body_bytes).put("\r\n");
  head.field("X-Request-Id", context.request_id);
  if (is_problem) {
    head.put("Proxy-Status: sluice;error=").put(proxy_error(reply.status, reply.reason));
    head.put(";details=\"").put(reply.reason.code()).put("\"\r\n");
  }
  if (reply.status == 401) write_challenge(head, reply.reason);
  if (reply.status == 405) head.put("Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS\r\n");
  if (reply.retry_after > core::Duration{0}) head.put("Retry-After: ").number(whole_seconds(reply.retry_after)).put("\r\n");
  if (reply.limit != nullptr) write_limit_fields(head, reply);
  if (reply.persistence == http::Persistence::close) {
    head.put("Connection: close\r\n");
  } else if (context.version == http::Version::http_1_0) {
    head.put("Connection: keep-alive\r\n");
  }
  head.put("\r\n");
  if (context.method != http::Method::head) head.put(body);
  return head.size();
}

}  // namespace sluice::proxy
