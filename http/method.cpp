// Methods by name and by number.
#include "http/method.h"

#include <llhttp.h>

namespace sluice::http {

namespace {

constexpr bool is_http_method(uint8_t number) {
  switch (number) {
#define SLUICE_METHOD(value, name, text) case value:
    HTTP_METHOD_MAP(SLUICE_METHOD)
#undef SLUICE_METHOD
    return true;
    default: return false;
  }
}

constexpr struct {
  std::string_view name;
  uint8_t number;
} names[] = {
#define SLUICE_METHOD(value, name, text) {#text, value},
    HTTP_METHOD_MAP(SLUICE_METHOD)
#undef SLUICE_METHOD
};

}  // namespace

std::optional<Method> method_of(uint8_t number) {
  switch (number) {
    case HTTP_GET: return Method::get;
    case HTTP_HEAD: return Method::head;
    case HTTP_POST: return Method::post;
    case HTTP_PUT: return Method::put;
    case HTTP_DELETE: return Method::del;
    case HTTP_PATCH: return Method::patch;
    case HTTP_OPTIONS: return Method::options;
    case HTTP_CONNECT: return Method::connect;
    case HTTP_TRACE: return Method::trace;
    default: break;
  }
  if (!is_http_method(number)) return std::nullopt;
  return Method::other;
}

std::optional<Method> find_method(std::string_view name) {
  if (name == "GET") return Method::get;
  if (name == "POST") return Method::post;
  for (const auto& known : names) {
    if (known.name == name) return method_of(known.number);
  }
  return std::nullopt;
}

}  // namespace sluice::http
