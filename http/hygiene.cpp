// Drops hop-by-hop, identity and ambiguous fields.
#include "http/hygiene.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::http {

namespace {

// RFC 9110 7.6.1: Connection names fields that are for this hop only. Those that carry the message
// itself can't be named.
void drop_named_by_connection(Fields& fields) {
  for (const Field& connection : fields) {
    if (connection.id != FieldName::connection) continue;
    for_each_option(fields.value(connection), [&](std::string_view option) {
      for (Field& field : fields) {
        if (field.id == FieldName::host || field.id == FieldName::authorization) continue;
        if (equals_ignoring_case(fields.name(field), option)) field.disposition = Disposition::drop;
      }
    });
  }
}

bool is_hop_by_hop(FieldName id) {
  switch (id) {
    case FieldName::connection:
    case FieldName::content_length:  // set anew from the framing
    case FieldName::keep_alive:
    case FieldName::proxy_authenticate:
    case FieldName::proxy_authorization:
    case FieldName::proxy_connection:
    case FieldName::te:
    case FieldName::transfer_encoding:  // set anew
    case FieldName::upgrade: return true;
    default: return false;
  }
}

// Field names that no trailer may have beside those of FieldName, sorted (RFC 7230 4.1.2 lists the
// kinds).
constexpr std::string_view forbidden_trailers[] = {
    "age",
    "cache-control",
    "content-encoding",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "set-cookie2",
    "vary",
    "warning",
    "www-authenticate",
};
static_assert(std::is_sorted(std::begin(forbidden_trailers), std::end(forbidden_trailers)));

// Servers that turn fields into variables can't tell X_User from X-User.
bool is_ambiguous(std::string_view name) {
  return std::memchr(name.data(), '_', name.size()) != nullptr;
}

// What a server takes for a field that decides something.
bool is_known_otherwise(std::string_view name) {
  std::array<char, 64> dashed;
  if (name.size() > dashed.size()) return false;
  std::transform(name.begin(), name.end(), dashed.begin(),
                 [](char c) { return c == '_' ? '-' : c; });
  const std::string_view other{dashed.data(), name.size()};
  return recognize_field(other) != FieldName::other || equals_ignoring_case(other, "cookie");
}

}  // namespace

const Field* find_underscored(const Fields& fields) {
  for (const Field& field : fields) {
    if (field.id == FieldName::other && is_ambiguous(fields.name(field))) return &field;
  }
  return nullptr;
}

uint32_t drop_request_fields(RequestHead& head, const RequestHygiene& hygiene) {
  uint32_t underscored = 0;
  for (Field& field : head.fields) {
    bool drops = false;
    switch (field.id) {
      case FieldName::other:  // the names known by an id have no '_'
        drops =
            is_ambiguous(head.fields.name(field)) && (hygiene.underscores != Underscores::pass ||
                                                      is_known_otherwise(head.fields.name(field)));
        underscored += static_cast<uint32_t>(drops);
        break;
      case FieldName::expect:
      case FieldName::host:
      case FieldName::x_request_id: drops = true; break;  // ours to set
      case FieldName::forwarded:
      case FieldName::x_forwarded:
      case FieldName::x_real_ip:
        drops = !keeps_forwarded(head.fields, field, hygiene.forwarded, hygiene.trust);
        break;
      case FieldName::max_forwards: drops = head.method == Method::options; break;  // counted down
      case FieldName::trailer: drops = head.framing != Framing::chunked; break;
      default: drops = is_hop_by_hop(field.id); break;
    }
    if (drops) field.disposition = Disposition::drop;
  }
  if (head.connection_names_fields) drop_named_by_connection(head.fields);
  return underscored;
}

void drop_response_fields(ResponseHead& head, Framing towards_client) {
  for (Field& field : head.fields) {
    const bool announces_nothing =
        field.id == FieldName::trailer && towards_client != Framing::chunked;
    if (announces_nothing || is_hop_by_hop(field.id) || field.id == FieldName::x_request_id)
      field.disposition = Disposition::drop;
  }
  if (head.connection_names_fields) drop_named_by_connection(head.fields);
}

bool may_be_a_trailer(std::string_view name) {
  // Every field that Sluice itself looks at decides something.
  if (recognize_field(name) != FieldName::other || is_ambiguous(name)) return false;
  std::array<char, 24> lower;
  if (name.size() > lower.size()) return true;
  std::transform(name.begin(), name.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return !std::binary_search(std::begin(forbidden_trailers), std::end(forbidden_trailers),
                             std::string_view{lower.data(), name.size()});
}

}  // namespace sluice::http
