// Preflights, and the fields that let pages read answers.
#include "proxy/exchange/cors.h"

#include <algorithm>

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

std::optional<http::Method> preflight_method(const http::RequestHead& request) {
  if (request.method != http::Method::options) return std::nullopt;
  const std::string_view method = value_of(request.fields, asked_method_field);
  if (method.empty() || value_of(request.fields, origin_field).empty()) return std::nullopt;
  return method_named(method);
}

bool allows_origin(const RequestContext& context) {
  return allows(*context.route().cors, value_of(context.request().fields, origin_field));
}

size_t add_cors(const RequestContext& context, std::span<http::AddedField> memory) {
  const std::string_view origin = value_of(context.request().fields, origin_field);
  const config::Cors& cors = *context.route().cors;
  size_t count = 0;
  if (!allows_all(cors)) memory[count++] = {"Vary", origin_field};
  if (origin.empty() || origin.size() > origin_bytes_max || !allows(cors, origin)) return count;
  memory[count++] = {"Access-Control-Allow-Origin",
                     allows_all(cors) ? std::string_view{"*"} : origin};
  if (cors.credentials) memory[count++] = {"Access-Control-Allow-Credentials", "true"};
  memory[count++] = {"Access-Control-Expose-Headers", cors.exposed};
  return count;
}

size_t add_preflight(const RequestContext& context, std::span<http::AddedField> memory) {
  size_t count = 0;
  const http::Fields& fields = context.request().fields;
  const config::Cors& cors = *context.route().cors;
  const std::string_view asked = value_of(fields, asked_headers_field);
  memory[count++] = {"Access-Control-Allow-Methods", value_of(fields, asked_method_field)};
  const bool any = !cors.headers.empty() && cors.headers.front() == "*";
  const std::string_view headers =
      any && asked.size() <= asked_headers_bytes_max ? asked : std::string_view{cors.allowed};
  if (!headers.empty()) memory[count++] = {"Access-Control-Allow-Headers", headers};
  memory[count++] = {"Access-Control-Max-Age", cors.max_age_s};
  return count;
}

}  // namespace sluice::proxy
