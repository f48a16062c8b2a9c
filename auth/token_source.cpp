// Looks for a token in each of the places that the configuration names.
#include "auth/token_source.h"

#include <algorithm>
#include <cstring>

namespace sluice::auth {

namespace {

// One look at one place: `refusal` is missing, none, or what is wrong.
struct Look {
  Refusal refusal = Refusal::missing;
  std::string_view token;

  // An empty value is no token.
  void see(std::string_view found) {
    if (found.empty()) return;
    refusal = refusal == Refusal::missing ? Refusal::none : Refusal::duplicate;
    token = found;
  }
};

constexpr std::string_view bearer = "Bearer";
constexpr std::string_view basic = "Basic";

// The scheme, 1*SP, and what belongs to it (RFC 6750 2.1, RFC 7617 2, RFC 9110 11.4).
Look read_credentials(std::string_view value, std::string_view scheme) {
  if (!http::equals_ignoring_case(value.substr(0, scheme.size()), scheme))
    return {Refusal::scheme, {}};
  std::string_view token = value.substr(scheme.size());
  if (!token.starts_with(' ')) return {Refusal::malformed, {}};
  token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
  return token.empty() ? Look{Refusal::malformed, {}} : Look{Refusal::none, token};
}

Look look_at_authorization(const http::Fields& fields, std::string_view scheme) {
  Look look;
  for (const http::Field& field : fields) {
    if (field.id == http::FieldName::authorization) look.see(fields.value(field));
  }
  return look.refusal == Refusal::none ? read_credentials(look.token, scheme) : look;
}

// The token alone, or behind "Bearer".
Look look_at_token_field(const http::Fields& fields, std::string_view name) {
  Look look;
  for (const http::Field& field : fields) {
    if (http::equals_ignoring_case(fields.name(field), name)) look.see(fields.value(field));
  }
  if (look.refusal == Refusal::none) {
    if (const Look behind = read_credentials(look.token, bearer); behind.refusal == Refusal::none)
      return behind;
  }
  return look;
}

Look look_at_protocols(const http::Fields& fields, std::string_view name) {
  Look look;
  bool is_next = false;
  for (const http::Field& field : fields) {
    if (!http::equals_ignoring_case(fields.name(field), "sec-websocket-protocol")) continue;
    http::for_each_option(fields.value(field), [&](std::string_view option) {
      if (is_next) look.see(option);
      is_next = !is_next && option == name;
    });
  }
  return look;
}

// cookie-pairs (RFC 6265 4.2.1); a value may stand in quotes.
Look look_at_cookies(const http::Fields& fields, std::string_view name) {
  Look look;
  for (const http::Field& field : fields) {
    if (!http::equals_ignoring_case(fields.name(field), "cookie")) continue;
    std::string_view rest = fields.value(field);
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = http::trim_blanks(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const size_t equals = pair.find('=');
      if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
      std::string_view value = pair.substr(equals + 1);
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
        value = value.substr(1, value.size() - 2);
      look.see(value);
    }
  }
  return look;
}

Look look_at_query(std::string_view query, std::string_view name) {
  Look look;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      look.see(pair.substr(name.size() + 1));
  }
  return look;
}

Look look_at_field(const http::Fields& fields, std::string_view name) {
  Look look;
  for (const http::Field& field : fields) {
    if (http::equals_ignoring_case(fields.name(field), name)) look.see(fields.value(field));
  }
  return look;
}

Look look_at(const TokenSource& source, const http::Fields& fields, std::string_view query) {
  switch (source.kind) {
    case TokenSource::Kind::header: return look_at_authorization(fields, bearer);
    case TokenSource::Kind::basic: return look_at_authorization(fields, basic);
    case TokenSource::Kind::cookie: return look_at_cookies(fields, source.name);
    case TokenSource::Kind::query: return look_at_query(query, source.name);
    case TokenSource::Kind::api_key: return look_at_field(fields, source.name);
    case TokenSource::Kind::field: return look_at_token_field(fields, source.name);
    case TokenSource::Kind::protocol: return look_at_protocols(fields, source.name);
  }
  return {};
}

}  // namespace

FoundToken find_token(std::span<const TokenSource> sources, const http::Fields& fields,
                      std::string_view query) {
  FoundToken found;
  for (const TokenSource& source : sources) {
    const Look look = look_at(source, fields, query);
    if (is_absence(look.refusal)) {
      if (found.source == nullptr && found.refusal == Refusal::missing)
        found.refusal = look.refusal;
      continue;
    }
    if (found.source != nullptr) return {.refusal = Refusal::several};
    found = {look.refusal, look.token, &source};
  }
  return found;
}

std::string_view remove_protocol_token(std::string_view list, char* bytes, std::string_view name) {
  char* out = bytes;
  bool is_next = false;
  http::for_each_option(list, [&](std::string_view option) {
    const bool is_token = is_next;
    is_next = !is_next && option == name;
    if (is_token || option.empty()) return;
    // What is written is never ahead of what is read: at most a separator a element, as there was.
    if (out != bytes) *out++ = ',';
    std::memmove(out, option.data(), option.size());
    out += option.size();
  });
  return {bytes, static_cast<size_t>(out - bytes)};
}

}  // namespace sluice::auth
