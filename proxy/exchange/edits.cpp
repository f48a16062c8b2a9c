// What a route adds to messages and takes from them.
#include "proxy/exchange/edits.h"

#include <algorithm>

#include "http/host.h"
#include "http/path.h"
#include "http/uri.h"
#include "proxy/exchange/cors.h"
#include "proxy/exchange/encryption.h"
#include "proxy/exchange/identity.h"
#include "proxy/exchange/joined.h"

namespace sluice::proxy {

namespace {

// Fields that servers can't tell apart are one: '-' and '_' are.
bool is_same_field(std::string_view a, std::string_view b) {
  const auto plain = [](char c) {
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return plain(x) == plain(y); });
}

size_t add_edits(const config::HeaderEdits& edits, std::span<http::AddedField> memory) {
  if (edits.set.empty() && edits.add.empty()) return 0;
  size_t count = 0;
  for (const auto* list : {&edits.set, &edits.add}) {
    for (const config::HeaderEdits::NamedValue& field : *list)
      memory[count++] = {field.name, field.value};
  }
  return count;
}

// The path of a URL of this host: "http://host/path", "//host/path"; "/" where it has none.
std::string_view path_at(std::string_view url, std::string_view host) {
  if (url.size() > 5 && http::equals_ignoring_case(url.substr(0, 5), "http:")) url.remove_prefix(5);
  if (!url.starts_with("//")) return {};
  url.remove_prefix(2);
  const size_t end = std::min(url.find_first_of("/?#\\"), url.size());
  if (!http::is_same_authority(url.substr(0, end), host)) return {};
  return end == url.size() ? std::string_view{"/"} : url.substr(end);
}

bool lies_below(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) &&
         (path.size() == prefix.size() ||
          std::string_view{"/?#"}.find(path[prefix.size()]) != std::string_view::npos);
}

// What the route removes or sets is not added beside it.
size_t without_edited(std::span<http::AddedField> added, const config::HeaderEdits& of_route) {
  if (of_route.set.empty() && of_route.remove.empty()) return added.size();
  const auto end = std::remove_if(added.begin(), added.end(), [&](const http::AddedField& field) {
    return edits(of_route, field.name);
  });
  return static_cast<size_t>(end - added.begin());
}

}  // namespace

bool edits(const config::HeaderEdits& edits, std::string_view name) {
  return std::any_of(edits.remove.begin(), edits.remove.end(),
                     [&](const auto& one) { return is_same_field(one, name); }) ||
         std::any_of(edits.set.begin(), edits.set.end(),
                     [&](const auto& one) { return is_same_field(one.name, name); });
}

void drop_edited(http::Fields& fields, const config::HeaderEdits& list) {
  if (list.remove.empty() && list.set.empty()) return;
  for (http::Field& field : fields) {
    if (edits(list, fields.name(field))) field.disposition = http::Disposition::drop;
  }
}

void edit_response(const RequestContext& context, http::ResponseHead& response) {
  drop_edited(response.fields, context.route().response_edits);
  if (!context.route().cors) return;
  constexpr std::string_view prefix = "Access-Control-";
  for (http::Field& field : response.fields) {
    const std::string_view name = response.fields.name(field);
    if (name.size() > prefix.size() &&
        http::equals_ignoring_case(name.substr(0, prefix.size()), prefix))
      field.disposition = http::Disposition::drop;
  }
}

std::string_view rewritten_target(const RequestContext& context, std::span<char> memory) {
  const config::Rewrite& rewrite = context.route().rewrite;
  if (rewrite.empty() || context.request().path.front() != '/') return {};
  http::Writer target{std::as_writable_bytes(memory)};
  if (rewrite.path.empty()) {
    put_joined(target, rewrite.add_prefix,
               http::drop_segments_of(rewrite.strip_prefix, context.request().path));
    if (target.size() == 0) target.put("/");
  } else {
    target.put(rewrite.path);
  }
  if (!context.request().query.empty()) target.put("?").put(context.request().query);
  return {memory.data(), target.size()};
}

std::string_view host_for_endpoint(const RequestContext& context,
                                   const config::UpstreamConfig& upstream) {
  switch (context.route().host_mode) {
    case config::HostMode::preserve: return {};
    case config::HostMode::endpoint: return upstream.endpoints.front().authority;
    case config::HostMode::name: return context.route().host;
  }
  SLUICE_UNREACHABLE();
}

std::string_view redirect_location(const RequestContext& context, std::span<char> memory) {
  const config::Redirect& to = context.route().redirect;
  http::Writer location{std::as_writable_bytes(memory)};
  if (to.rest == config::Redirect::Rest::drop) location.put(to.to);
  if (to.rest == config::Redirect::Rest::keep) {
    put_joined(location, to.to,
               http::drop_segments_of(context.route().match.path, context.request().path));
  }
  if (!context.request().query.empty() && to.to.find('?') == std::string::npos)
    location.put("?").put(context.request().query);
  return {memory.data(), location.size()};
}

AddedFields added_upstream(const RequestContext& context, std::span<http::AddedField> memory) {
  const size_t identity =
      without_edited(memory.first(add_identity(context, memory)), context.route().request_edits);
  return memory.first(identity +
                      add_edits(context.route().request_edits, memory.subspan(identity)));
}

AddedFields added_downstream(RequestContext& context, const http::ResponseHead& response,
                             std::span<http::AddedField> memory, std::string_view location) {
  size_t count = context.route().cors ? add_cors(context, memory) : 0;
  const size_t hsts = add_hsts(context, memory.subspan(count));
  if (hsts != 0 && !says_hsts(response)) count += hsts;
  if (!location.empty()) memory[count++] = {"Location", location};
  count += context.limit_fields.add_to(memory.subspan(count));
  count = without_edited(memory.first(count), context.route().response_edits);
  return memory.first(count + add_edits(context.route().response_edits, memory.subspan(count)));
}

std::string_view mapped_location(const RequestContext& context,
                                 const config::UpstreamConfig& upstream,
                                 http::ResponseHead& response, std::span<char> memory) {
  const config::Rewrite& rewrite = context.route().rewrite;
  if (rewrite.strip_prefix.empty()) return {};
  const auto field =
      std::find_if(response.fields.begin(), response.fields.end(), [](const http::Field& one) {
        return one.id == http::FieldName::location && one.disposition == http::Disposition::keep;
      });
  if (field == response.fields.end()) return {};
  const std::string_view value = response.fields.value(*field);
  if (value.size() > core::limits::target_bytes_max) return {};
  const bool is_path =
      value.starts_with('/') && !value.starts_with("//") && !value.starts_with("/\\");
  std::string_view path = is_path ? value : path_at(value, host_for_endpoint(context, upstream));
  for (const config::EndpointConfig& endpoint : upstream.endpoints) {
    if (path.empty()) path = path_at(value, endpoint.authority);
  }
  if (path.empty()) return {};
  const bool is_known = lies_below(path, rewrite.strip_prefix);  // it has heard of the prefix
  if (is_known && is_path) return {};
  if (!is_known && !rewrite.add_prefix.empty() && lies_below(path, rewrite.add_prefix))
    path.remove_prefix(rewrite.add_prefix.size());
  http::Writer location{std::as_writable_bytes(memory)};
  put_joined(location, is_known ? std::string_view{} : std::string_view{rewrite.strip_prefix},
             path);
  field->disposition = http::Disposition::drop;
  return {memory.data(), location.size()};
}

AddedFields added_to_switching(RequestContext& context, std::span<http::AddedField> memory) {
  const std::span<http::AddedField> added = memory.first(context.limit_fields.add_to(memory));
  return added.first(without_edited(added, context.route().response_edits));
}

AddedFields added_to_reply(RequestContext& context, std::span<http::AddedField> memory,
                           const LocalReply& answer) {
  size_t count = add_hsts(context, memory);
  if (context.has_route() && context.route().cors)
    count += add_cors(context, memory.subspan(count));
  if (answer.preflight) count += add_preflight(context, memory.subspan(count));
  if (!answer.location.empty()) memory[count++] = {"Location", answer.location};
  if (!context.has_route()) return memory.first(count);
  return memory.first(count + added_to_switching(context, memory.subspan(count)).size());
}

}  // namespace sluice::proxy
