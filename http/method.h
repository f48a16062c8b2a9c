// The methods that are known: those of llhttp that are HTTP's, whatever the version of HTTP.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/message.h"

namespace sluice::http {

// By llhttp's number; nothing for what it reads beside HTTP (RTSP, ICE, the HTTP/2 preface).
[[nodiscard]] std::optional<Method> method_of(uint8_t number);
// By name, in upper case as it is (RFC 9110 9.1).
[[nodiscard]] std::optional<Method> find_method(std::string_view name);

}  // namespace sluice::http
