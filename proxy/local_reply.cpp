#include "proxy/local_reply.h"

#include <algorithm>
#include <array>

#include "http/serializer.h"
#include "proxy/reason_words.h"

namespace sluice::proxy {

namespace {

// The error types of RFC 9209 2.3 that fit.
std::string_view proxy_error(uint16_t status, Reason reason) {
  if (reason == Failure::upstream_refused) return "connection_refused";
  if (reason == Failure::upstream_closed) return "connection_terminated";
  if (reason == Failure::upstream_connect_timeout) return "connection_timeout";
  if (status == 502) return "http_protocol_error";
  if (status == 503) return "destination_unavailable";
  if (status == 504) return "http_response_timeout";
  if (status == 401 || status == 403 || status == 429) return "http_request_denied";
  return "http_request_error";
}

// {"type":"about:blank","title":"Not Found","status":404,"code":"route.none","detail":"..."}
size_t write_problem(std::span<std::byte> out, const LocalReply& reply) {
  http::Writer body{out};
  body.put(R"({"type":"about:blank","title":")")
      .put(http::reason_phrase(reply.status))
      .put(R"(","status":)")
      .number(reply.status);
  body.put(R"(,"code":")").put(reply.code);
  if (const ReasonWords* words = words_of(reply.code); words != nullptr)
    body.put(R"(","detail":")").put(words->what);
  body.put("\"}\n");
  return body.size();
}

// RFC 9110 10.2.1. CONNECT and TRACE are never allowed; what is less usual has no name here.
void write_allow(http::Writer& head, uint16_t methods) {
  std::string_view separator = "Allow: ";
  for (unsigned number = 0; number < static_cast<unsigned>(http::Method::other); ++number) {
    if ((methods >> number & 1) == 0) continue;
    head.put(separator).put(http::to_string(static_cast<http::Method>(number)));
    separator = ", ";
  }
  head.put(separator == ", " ? "\r\n" : "Allow:\r\n");
}

void write_challenge(http::Writer& head, Reason reason, std::string_view code) {
  // RFC 6750 3: no error code when there was no token at all.
  if (reason == auth::Refusal::missing || reason == auth::Refusal::scheme) {
    head.put("WWW-Authenticate: Bearer realm=\"sluice\"\r\n");
  } else {
    head.put(
        "WWW-Authenticate: Bearer realm=\"sluice\", error=\"invalid_token\", error_description=\"");
    const ReasonWords* words = words_of(code);
    head.put(words != nullptr ? words->what : code).put("\"\r\n");
  }
}

}  // namespace

uint64_t whole_seconds(core::Duration duration) {
  return static_cast<uint64_t>(
      std::max<core::Duration::rep>(1, (duration.count() + 999'999'999) / 1'000'000'000));
}

size_t write_local_reply(std::span<std::byte> out, const LocalReply& reply,
                         const ReplyContext& context) {
  std::array<std::byte, 768> problem;
  std::string_view body = reply.body;
  std::string_view type = reply.content_type;
  const bool is_problem = reply.status >= 400 && reply.reason != Reason{};
  if (is_problem) {
    body = {reinterpret_cast<const char*>(problem.data()), write_problem(problem, reply)};
    type = "application/problem+json";
  }
  http::Writer head{out};
  head.put("HTTP/1.1 ")
      .number(reply.status)
      .put(" ")
      .put(http::reason_phrase(reply.status))
      .put("\r\n");
  head.field("Date", context.date);
  if (reply.status != 204) {
    if (!body.empty() || !reply.long_body.empty()) head.field("Content-Type", type);
    head.put("Content-Length: ").number(body.size() + reply.long_body.size()).put("\r\n");
  }
  head.field("X-Request-Id", context.request_id);
  if (is_problem) {
    head.put("Proxy-Status: sluice;error=").put(proxy_error(reply.status, reply.reason));
    head.put(";details=\"").put(reply.code).put("\"\r\n");
  }
  // RFC 6750 3.1: the token is good, and not enough.
  if (reply.reason == auth::Refusal::forbidden)
    head.put("WWW-Authenticate: Bearer realm=\"sluice\", error=\"insufficient_scope\"\r\n");
  if (reply.status == 401) write_challenge(head, reply.reason, reply.code);
  if (reply.status == 405 || reply.allowed_methods != 0) write_allow(head, reply.allowed_methods);
  if (reply.retry_after > core::Duration{0})
    head.put("Retry-After: ").number(whole_seconds(reply.retry_after)).put("\r\n");
  for (const http::AddedField& field : context.more) head.field(field.name, field.value);
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
