// What an answer tells of the limits that its request was asked for: RateLimit and
// RateLimit-Policy, as draft-ietf-httpapi-ratelimit-headers-10 has them, of the one that is nearest
// to refusing. Both fields are lists, so that what the endpoint says of limits of its own stays
// beside them.
//
// Embedded in its exchange; refers to the configuration that the exchange uses, until the head of
// the answer is written.
#pragma once

#include <array>
#include <span>

#include "config/config.h"
#include "http/serializer.h"
#include "limiter/limit.h"

namespace sluice::proxy {

class LimitFields {
 public:
  static constexpr size_t fields_max = 2;

  // What the limits of `route` say about the request, at any stage: the nearest of all counts.
  void note(const config::Config& config, const config::Route& route,
            const limiter::Nearest& nearest);
  // The fields, if there is something to be told; how many. They are views of this object and of
  // the configuration.
  [[nodiscard]] size_t add_to(std::span<http::AddedField> memory);

 private:
  limiter::Nearest nearest_;
  const config::NamedLimit* limit_ = nullptr;
  std::array<char, config::name_bytes_max + 48> text_;
};

}  // namespace sluice::proxy
