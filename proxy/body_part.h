// A part of a body, on its way from one side to the other.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "http/rule.h"

namespace sluice::proxy {

struct BodyPart {
  // In memory around which may be written as http::frame_chunk() says, until it has left.
  std::span<std::byte> bytes;
  http::Rule rule = http::Rule::none;  // that it breaks
  bool complete = false;               // the body ends with it
  std::string_view trailers;           // then: lines that are passed on
};

}  // namespace sluice::proxy
