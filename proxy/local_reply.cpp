// Writes an answer of our own.
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

bool is_api_key(const auth::TokenSource& source) {
  return source.kind == auth::TokenSource::Kind::api_key;
}

bool is_basic(const auth::TokenSource& source) {
  return source.kind == auth::TokenSource::Kind::basic;
}

// Those that are named to the client: as many as an answer certainly has room for.
std::span<const auth::TokenSource> named(const LocalReply& reply) {
  constexpr size_t most = 4;
  return reply.sources.first(std::min(most, reply.sources.size()));
}

bool is_of_api_key(Reason reason) {
  return reason == auth::Refusal::key_missing || reason == auth::Refusal::key_form ||
         reason == auth::Refusal::key_unknown;
}

bool is_of_password(Reason reason) {
  return reason == auth::Refusal::password_missing || reason == auth::Refusal::password_form ||
         reason == auth::Refusal::password_wrong;
}

// {"type":"about:blank","title":"Not Found","status":404,"code":"route.none","detail":"..."}
size_t write_problem(std::span<std::byte> out, const LocalReply& reply) {
  http::Writer body{out};
  body.put(R"({"type":"about:blank","title":")")
      .put(http::reason_phrase(reply.status))
      .put(R"(","status":)")
      .number(reply.status);
  body.put(R"(,"code":")").put(reply.code);
  body.put("\"");
  if (const ReasonWords* words = words_of(reply.code); words != nullptr) {
    body.put(R"(,"detail":")").put(words->what);
    if (reply.bytes_max != 0) body.put(" It takes ").number(reply.bytes_max).put(" bytes.");
    if (!reply.unmet.empty()) body.put(" Not met: ").put(reply.unmet).put(".");
    for (const auth::TokenSource& source : named(reply)) {
      if (is_of_api_key(reply.reason) && is_api_key(source))
        body.put(" Its field is ").put(source.name).put(".");
    }
    body.put("\"");
  }
  if (reply.bytes_max != 0) body.put(R"(,"max_bytes":)").number(reply.bytes_max);
  if (!reply.unmet.empty()) body.put(R"(,"requirement":")").put(reply.unmet).put("\"");
  body.put("}\n");
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

// Whether a token would do here.
bool takes_tokens(const LocalReply& reply) {
  return reply.sources.empty() ||
         std::any_of(reply.sources.begin(), reply.sources.end(),
                     [](const auto& source) { return !is_api_key(source) && !is_basic(source); });
}

void write_bearer_challenge(http::Writer& head, Reason reason, std::string_view code) {
  head.put("WWW-Authenticate: Bearer realm=\"sluice\"");
  // RFC 6750 3: no error code when there was no token at all.
  const bool has_token = reason != auth::Refusal::missing && reason != auth::Refusal::scheme &&
                         !is_of_api_key(reason) && !is_of_password(reason);
  if (has_token) {
    const ReasonWords* words = words_of(code);
    head.put(", error=\"invalid_token\", error_description=\"")
        .put(words != nullptr ? words->what : code)
        .put("\"");
  }
  head.put("\r\n");
}

// One for each kind of credential that would do (RFC 9110 11.6.1).
void write_challenges(http::Writer& head, const LocalReply& reply) {
  if (takes_tokens(reply)) write_bearer_challenge(head, reply.reason, reply.code);
  for (const auth::TokenSource& source : named(reply)) {
    if (is_api_key(source)) {
      head.put("WWW-Authenticate: ApiKey realm=\"sluice\", field=\"").put(source.name);
      head.put("\"\r\n");
    } else if (is_basic(source)) {
      head.put("WWW-Authenticate: Basic realm=\"").put(source.name);
      head.put("\", charset=\"UTF-8\"\r\n");
    }
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
  if (reply.reason == auth::Refusal::forbidden && takes_tokens(reply)) {
    head.put("WWW-Authenticate: Bearer realm=\"sluice\", error=\"insufficient_scope\"");
    if (!reply.unmet.empty())
      head.put(", error_description=\"Not met: ").put(reply.unmet).put("\"");
    head.put("\r\n");
  }
  if (reply.status == 401) write_challenges(head, reply);
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
