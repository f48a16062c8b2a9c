// What a route says about the messages that pass, and what it answers itself.
#include <algorithm>

#include "proxy/exchange/exchange.h"
#include "proxy/exchange/joined.h"

namespace sluice::proxy {

namespace {

constexpr std::string_view origin_field = "Origin";
constexpr std::string_view asked_method_field = "Access-Control-Request-Method";
constexpr std::string_view asked_headers_field = "Access-Control-Request-Headers";
constexpr size_t origin_bytes_max = 256;
constexpr size_t asked_headers_bytes_max = 1024;

std::string_view value_of(const http::Fields& fields, std::string_view name) {
  for (const http::Field& field : fields) {
    if (http::equals_ignoring_case(fields.name(field), name)) return fields.value(field);
  }
  return {};
}

// Fields that servers can't tell apart are one: '-' and '_' are.
bool is_same_field(std::string_view a, std::string_view b) {
  const auto plain = [](char c) {
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return plain(x) == plain(y); });
}

http::Method method_named(std::string_view name) {
  for (unsigned number = 0; number < static_cast<unsigned>(http::Method::other); ++number) {
    if (http::to_string(static_cast<http::Method>(number)) == name)
      return static_cast<http::Method>(number);
  }
  return http::Method::other;
}

bool allows(const config::Cors& cors, std::string_view origin) {
  return std::any_of(cors.origins.begin(), cors.origins.end(),
                     [&](const std::string& one) { return one == "*" || one == origin; });
}

bool allows_all(const config::Cors& cors) {
  return cors.origins.front() == "*" && !cors.credentials;
}

}  // namespace

// --- which route -----------------------------------------------------------------------------

// A path that endpoints may understand in more than one way has one route in all of them, or routes
// that ask for the same; or it is refused.
Exchange::RouteChoice Exchange::choose_route(http::Method method) const {
  const auto ask = [&](std::string_view path) {
    return generation_->routes().find(method, request_.authority, path, request_.query,
                                      request_.fields);
  };
  if (request_.path_form == http::PathForm::plain) return {.found = ask(request_.path)};
  std::array<char, http::matched_path_max> memory;
  const std::string_view path = http::matched_path(request_.path, memory);
  const RouteChoice choice{.found = ask(path)};
  const bool is_known = choice.found.route != config::no_route;
  if (request_.has_encoded_separator &&
      (!is_known || config().routes[choice.found.route].path.encoded_slash ==
                        config::PathRules::EncodedSlash::refuse))
    return {.rule = http::Rule::encoded_separator};
  if (path.find(';') == std::string_view::npos) return choice;
  const config::Found other = ask(http::cut_parameters(path, memory));
  if (other.route == choice.found.route) return choice;
  if (!is_known || other.route == config::no_route) return {.rule = http::Rule::path_parameters};
  const config::Route& one = config().routes[choice.found.route];
  const config::Route& two = config().routes[other.route];
  if (config::asks_more(one, two) || config::asks_more(two, one))
    return {.rule = http::Rule::path_parameters};
  return choice;
}

// What is forwarded is what was matched.
void Exchange::settle_path() {
  if (request_.path_form == http::PathForm::special &&
      route().path.slashes == config::PathRules::Slashes::merge)
    http::merge_slashes(request_, reinterpret_cast<char*>(request_area().data()));
}

// --- who may come ----------------------------------------------------------------------------

bool Exchange::admits_address() const {
  const config::AddressRules& rules = route().addresses;
  const auto has = [&](const std::vector<core::Cidr>& networks) {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const core::Cidr& network) { return network.contains(client_); });
  };
  return !has(rules.deny) && (rules.allow.empty() || has(rules.allow));
}

// --- CORS (Fetch 3.2) ------------------------------------------------------------------------

// A preflight asks about another method than its own, without a token; it costs no limit anything.
// True if it was one.
bool Exchange::answer_preflight(Station& station) {
  if (request_.method != http::Method::options) return false;
  const std::string_view method = value_of(request_.fields, asked_method_field);
  const std::string_view origin = value_of(request_.fields, origin_field);
  if (method.empty() || origin.empty()) return false;
  const auto [found, rule] = choose_route(method_named(method));
  if (rule != http::Rule::none || found.route == config::no_route ||
      !config().routes[found.route].cors)
    return false;
  route_ = found.route;
  route_label_ = route().label;
  if (!route().addresses.empty() && !admits_address()) {
    reply_error(station, 403, Failure::address_denied);
  } else {
    reply(station,
          {.status = 204, .persistence = persistence_, .preflight = allows(*route().cors, origin)});
  }
  return true;
}

size_t Exchange::add_cors(std::span<http::AddedField> memory) const {
  const std::string_view origin = value_of(request_.fields, origin_field);
  const config::Cors& cors = *route().cors;
  size_t count = 0;
  if (!allows_all(cors)) memory[count++] = {"Vary", origin_field};
  if (origin.empty() || origin.size() > origin_bytes_max || !allows(cors, origin)) return count;
  memory[count++] = {"Access-Control-Allow-Origin",
                     allows_all(cors) ? std::string_view{"*"} : origin};
  if (cors.credentials) memory[count++] = {"Access-Control-Allow-Credentials", "true"};
  memory[count++] = {"Access-Control-Expose-Headers", cors.exposed};
  return count;
}

std::span<const http::AddedField> Exchange::added_to_reply(std::span<http::AddedField> memory,
                                                           const LocalReply& answer) const {
  size_t count = 0;
  if (route_ == config::no_route) return {};
  const bool has_cors = route().cors.has_value();
  if (has_cors) count = add_cors(memory);
  if (answer.preflight) {
    const config::Cors& cors = *route().cors;
    const std::string_view asked = value_of(request_.fields, asked_headers_field);
    memory[count++] = {"Access-Control-Allow-Methods",
                       value_of(request_.fields, asked_method_field)};
    const bool any = !cors.headers.empty() && cors.headers.front() == "*";
    const std::string_view headers =
        any && asked.size() <= asked_headers_bytes_max ? asked : std::string_view{cors.allowed};
    if (!headers.empty()) memory[count++] = {"Access-Control-Allow-Headers", headers};
    memory[count++] = {"Access-Control-Max-Age", cors.max_age_s};
  }
  if (!answer.location.empty()) memory[count++] = {"Location", answer.location};
  return memory.first(count);
}

// --- answers ---------------------------------------------------------------------------------

// The query is passed on unless the destination has one of its own.
void Exchange::redirect(Station& station) {
  const config::Redirect& to = route().redirect;
  std::array<char, core::limits::target_bytes_max + config::rewrite_bytes_max> memory;
  http::Writer location{std::as_writable_bytes(std::span{memory})};
  if (to.rest == config::Redirect::Rest::drop) location.put(to.to);
  if (to.rest == config::Redirect::Rest::keep) {
    put_joined(location, to.to, http::drop_segments_of(route().match.path, request_.path));
  }
  if (!request_.query.empty() && to.to.find('?') == std::string::npos)
    location.put("?").put(request_.query);
  reply(station, {.status = to.status,
                  .persistence = persistence_,
                  .location = {memory.data(), location.size()}});
}

// --- on the way ------------------------------------------------------------------------------

// Whether the route says what becomes of what came under this name, in any spelling.
bool Exchange::edits(const config::HeaderEdits& edits, std::string_view name) {
  return std::any_of(edits.remove.begin(), edits.remove.end(),
                     [&](const auto& one) { return is_same_field(one, name); }) ||
         std::any_of(edits.set.begin(), edits.set.end(),
                     [&](const auto& one) { return is_same_field(one.name, name); });
}

void Exchange::drop_edited(http::Fields& fields, const config::HeaderEdits& edits) {
  if (edits.remove.empty() && edits.set.empty()) return;
  for (http::Field& field : fields) {
    if (Exchange::edits(edits, fields.name(field))) field.disposition = http::Disposition::drop;
  }
}

// What the endpoint says of CORS counts no more where the route says it.
void Exchange::edit_response() {
  drop_edited(response_.fields, route().response_edits);
  if (!route().cors) return;
  constexpr std::string_view prefix = "Access-Control-";
  for (http::Field& field : response_.fields) {
    const std::string_view name = response_.fields.name(field);
    if (name.size() > prefix.size() &&
        http::equals_ignoring_case(name.substr(0, prefix.size()), prefix))
      field.disposition = http::Disposition::drop;
  }
}

std::string_view Exchange::rewritten_target(std::span<char> memory) const {
  const config::Rewrite& rewrite = route().rewrite;
  if (rewrite.empty() || request_.path.front() != '/') return {};
  http::Writer target{std::as_writable_bytes(memory)};
  if (rewrite.path.empty()) {
    put_joined(target, rewrite.add_prefix,
               http::drop_segments_of(rewrite.strip_prefix, request_.path));
    if (target.size() == 0) target.put("/");
  } else {
    target.put(rewrite.path);
  }
  if (!request_.query.empty()) target.put("?").put(request_.query);
  return {memory.data(), target.size()};
}

std::string_view Exchange::host_for_endpoint() const {
  switch (route().host_mode) {
    case config::HostMode::preserve: return {};
    case config::HostMode::endpoint: return plan_->config().endpoints.front().authority;
    case config::HostMode::name: return route().host;
  }
  SLUICE_UNREACHABLE();
}

}  // namespace sluice::proxy
