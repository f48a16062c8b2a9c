// A prefix and what remains of a path: one slash between them where something remains. What begins
// with two would be a host for those who follow it (RFC 3986 4.2, CWE-601).
#pragma once

#include <string_view>

#include "http/serializer.h"

namespace sluice::proxy {

inline void put_joined(http::Writer& writer, std::string_view prefix, std::string_view rest) {
  const bool has_slash = rest.starts_with('/') || rest.starts_with('\\');
  while (rest.starts_with('/') || rest.starts_with('\\')) rest.remove_prefix(1);
  writer.put(prefix);
  if (has_slash && !prefix.ends_with('/')) writer.put("/");
  writer.put(rest);
}

}  // namespace sluice::proxy
