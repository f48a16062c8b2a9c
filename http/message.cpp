#include "http/message.h"

#include <llhttp.h>

#include "core/assert.h"

namespace sluice::http {

std::string_view to_string(Method method) {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::post: return "POST";
    case Method::put: return "PUT";
    case Method::del: return "DELETE";
    case Method::patch: return "PATCH";
    case Method::options: return "OPTIONS";
    case Method::other: return "other";
    case Method::connect: return "CONNECT";
    case Method::trace: return "TRACE";
  }
  SLUICE_UNREACHABLE();
}

bool is_idempotent(Method method) {
  switch (method) {
    case Method::get:
    case Method::head:
    case Method::put:
    case Method::del:
    case Method::options: return true;
    default: return false;
  }
}

std::string_view reason_phrase(uint16_t status) {
  switch (status) {
#define SLUICE_STATUS(number, name, phrase) \
  case number: return #phrase;
    HTTP_STATUS_MAP(SLUICE_STATUS)
#undef SLUICE_STATUS
    default: return {};
  }
}

}  // namespace sluice::http
