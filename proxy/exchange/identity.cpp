// The fields that say who calls.
#include "proxy/exchange/identity.h"

#include "http/uri.h"

namespace sluice::proxy {

namespace {

void drop_protocol_token(RequestContext& context) {
  char* bytes = context.stream.memory();
  for (http::Field& field : context.request().fields) {
    if (!http::equals_ignoring_case(context.request().fields.name(field), "sec-websocket-protocol"))
      continue;
    const std::string_view list = context.request().fields.value(field);
    const std::string_view left = auth::remove_protocol_token(list, bytes + (list.data() - bytes),
                                                              context.token.source->name);
    field.value_size = static_cast<uint16_t>(left.size());
    if (left.empty()) field.disposition = http::Disposition::drop;
  }
}

}  // namespace

void drop_identity(RequestContext& context) {
  http::Fields& fields = context.request().fields;
  for (http::Field& field : fields) {
    if (context.generation->identity_fields().told.has(fields.name(field)))
      field.disposition = http::Disposition::drop;
  }
  if (context.token.source == nullptr || context.route().auth == config::AuthMode::none) return;
  if (context.token.source->kind == auth::TokenSource::Kind::query) {
    char* bytes = context.stream.memory();
    http::remove_parameter(context.request(), bytes, context.token.source->name);
  }
  if (context.token.source->kind == auth::TokenSource::Kind::protocol) drop_protocol_token(context);
  if (context.config().auth[context.token.examined.provider].credential !=
      config::Credential::strip)
    return;
  for (http::Field& field : context.request().fields) {
    const bool is_token = (context.token.source->kind == auth::TokenSource::Kind::header ||
                           context.token.source->kind == auth::TokenSource::Kind::basic) &&
                          field.id == http::FieldName::authorization;
    const bool is_key = (context.token.source->kind == auth::TokenSource::Kind::api_key ||
                         context.token.source->kind == auth::TokenSource::Kind::field) &&
                        http::equals_ignoring_case(context.token.source->name,
                                                   context.request().fields.name(field));
    if (is_token || is_key) field.disposition = http::Disposition::drop;
  }
}

size_t add_identity(const RequestContext& context, std::span<http::AddedField> memory) {
  size_t count = 0;
  if (context.token.source == nullptr || context.route().auth == config::AuthMode::none) return 0;
  const config::AuthConfig& entry = context.config().auth[context.token.examined.provider];
  for (const config::ClaimField& field : entry.claim_fields) {
    const std::string_view value = context.token.examined.principal.claim(field.claim);
    if (!value.empty() && count < memory.size()) memory[count++] = {field.name, value};
  }
  if (!entry.payload_field.empty() &&
      context.token.source->kind != auth::TokenSource::Kind::api_key &&
      context.token.source->kind != auth::TokenSource::Kind::basic && count < memory.size()) {
    if (const std::string_view payload = auth::payload_of(context.token.token); !payload.empty())
      memory[count++] = {entry.payload_field, payload};
  }
  return count;
}

std::string_view passed_trailers(RequestContext& context, const BodyPart& part) {
  std::string_view left = part.trailers;
  if (left.empty()) return left;
  const auto drop = [&](std::string_view name) { left = context.stream.drop_trailer(name); };
  const config::IdentityFields& identity = context.generation->identity_fields();
  for (const std::string& name : identity.told.all()) drop(name);
  for (const std::string& name : identity.shown.all()) drop(name);
  const config::HeaderEdits& edits = context.route().request_edits;
  for (const std::string& name : edits.remove) drop(name);
  for (const config::HeaderEdits::NamedValue& field : edits.set) drop(field.name);
  return left;
}

}  // namespace sluice::proxy
