#include "auth/token_source.h"

#include <algorithm>

namespace sluice::auth {

namespace {

// One look at one place: `refusal` is missing, none, or what is wrong.
struct Look {
  Refusal refusal = Refusal::missing;
  std::string_view token;

  void see(std::string_view found) {
    refusal = refusal == Refusal::missing ? Refusal::none : Refusal::duplicate;
    token = found;
  }
};

// "Bearer" SP token68 (RFC 6750 2.1, RFC 9110 11.4).
Look look_at_authorization(const http::Fields& fields) {
  Look look;
  for (const http::Field& field : fields) {
    if (field.id == http::FieldName::authorization) look.see(fields.value(field));
  }
  if (look.refusal != Refusal::none) return look;
  constexpr std::string_view scheme = "Bearer";
  const std::string_view value = look.token;
  if (!http::equals_ignoring_case(value.substr(0, scheme.size()), scheme))
    return {Refusal::scheme, {}};
  if (value.size() < scheme.size() + 2 || value[scheme.size()] != ' ')
    return {Refusal::malformed, {}};
  look.token = value.substr(scheme.size() + 1);
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
    case TokenSource::Kind::header: return look_at_authorization(fields);
    case TokenSource::Kind::cookie: return look_at_cookies(fields, source.name);
    case TokenSource::Kind::query: return look_at_query(query, source.name);
    case TokenSource::Kind::api_key: return look_at_field(fields, source.name);
  }
  return {};
}

}  // namespace

FoundToken find_token(std::span<const TokenSource> sources, const http::Fields& fields,
                      std::string_view query) {
  FoundToken found;
  for (const TokenSource& source : sources) {
    const Look look = look_at(source, fields, query);
    if (look.refusal == Refusal::missing) continue;
    if (found.source != nullptr) return {.refusal = Refusal::several};
    found = {look.refusal, look.token, &source};
  }
  return found;
}

}  // namespace sluice::auth
