// RateLimit and RateLimit-Policy of an answer.
#include "proxy/limit_fields.h"

#include "proxy/local_reply.h"

namespace sluice::proxy {

void LimitFields::note(const config::Config& config, const config::Route& route,
                       const limiter::Nearest& nearest) {
  const limiter::Nearest before = nearest_;
  limiter::merge(nearest_, nearest);
  if (nearest_ == before) return;
  limit_ = nullptr;
  for (const auto* list : {&route.limits_before, &route.limits_after}) {
    for (const uint16_t index : *list) {
      const limiter::Limit& rule = config.limit_rules[index];
      if (config.limits[index].number == nearest_.limit &&
          rule.announcement == limiter::Announcement::announced)
        limit_ = &config.limits[index];
    }
  }
}

size_t LimitFields::add_to(std::span<http::AddedField> memory) {
  if (limit_ == nullptr) return 0;
  http::Writer value{std::as_writable_bytes(std::span{text_})};
  value.put("\"").put(limit_->name).put("\";r=").number(nearest_.left.requests);
  if (nearest_.left.more_in > core::Duration{0})
    value.put(";t=").number(whole_seconds(nearest_.left.more_in));
  memory[0] = {"RateLimit", {text_.data(), value.size()}};
  memory[1] = {"RateLimit-Policy", limit_->policy};
  return fields_max;
}

}  // namespace sluice::proxy
