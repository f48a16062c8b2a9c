// What is added to messages on their way, and what an endpoint says of places that it knows by
// other names than the client.
#include <algorithm>

#include "http/host.h"
#include "http/uri.h"
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/joined.h"

namespace sluice::proxy {

namespace {

size_t add_edits(const config::HeaderEdits& edits, std::span<http::AddedField> memory) {
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

}  // namespace

// What the route removes or sets is not added beside it.
size_t Exchange::without_edited(std::span<http::AddedField> added,
                                const config::HeaderEdits& of_route) {
  const auto end = std::remove_if(added.begin(), added.end(), [&](const http::AddedField& field) {
    return edits(of_route, field.name);
  });
  return static_cast<size_t>(end - added.begin());
}

std::span<const http::AddedField> Exchange::added_upstream(
    std::span<http::AddedField> memory) const {
  const size_t identity = without_edited(memory.first(add_identity(memory)), route().request_edits);
  return memory.first(identity + add_edits(route().request_edits, memory.subspan(identity)));
}

std::span<const http::AddedField> Exchange::added_downstream(std::span<http::AddedField> memory,
                                                             std::string_view location) const {
  size_t count = route().cors ? add_cors(memory) : 0;
  if (!location.empty()) memory[count++] = {"Location", location};
  count = without_edited(memory.first(count), route().response_edits);
  return memory.first(count + add_edits(route().response_edits, memory.subspan(count)));
}

// Where a prefix was stripped, the endpoint speaks of its own paths: "/login" is "/shop/login" for
// the client. Empty: Location stays as it is.
std::string_view Exchange::mapped_location(std::span<char> memory) {
  const config::Rewrite& rewrite = route().rewrite;
  if (rewrite.strip_prefix.empty()) return {};
  const auto field =
      std::find_if(response_.fields.begin(), response_.fields.end(), [](const http::Field& one) {
        return one.id == http::FieldName::location && one.disposition == http::Disposition::keep;
      });
  if (field == response_.fields.end()) return {};
  const std::string_view value = response_.fields.value(*field);
  if (value.size() > core::limits::target_bytes_max) return {};
  const bool is_path =
      value.starts_with('/') && !value.starts_with("//") && !value.starts_with("/\\");
  std::string_view path = is_path ? value : path_at(value, host_for_endpoint());
  for (const config::EndpointConfig& endpoint : plan_->config().endpoints) {
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

// Max-Forwards counts the hops of OPTIONS down (RFC 9110 7.6.2). False: this was the last one, and
// it is answered.
bool Exchange::count_hop(Station& station) {
  if (request_.method != http::Method::options) return true;
  std::optional<uint32_t> hops;
  for (const http::Field& field : request_.fields) {
    if (field.id != http::FieldName::max_forwards) continue;
    const std::string_view text = request_.fields.value(field);
    const bool is_number = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
      return c >= '0' && c <= '9';
    });
    if (hops || !is_number) {
      reply_error(station, 400, http::Rule::max_forwards);
      return false;
    }
    hops = 0;
    for (const char c : text)  // more than anybody counts is as good as that
      hops = std::min<uint32_t>(*hops * 10 + static_cast<uint32_t>(c - '0'), 100'000'000);
  }
  if (hops && *hops == 0) {
    reply(station,
          {.status = 204, .persistence = persistence_, .allowed_methods = route().match.methods});
    return false;
  }
  if (hops) hops_left_ = *hops - 1;
  return true;
}

}  // namespace sluice::proxy
