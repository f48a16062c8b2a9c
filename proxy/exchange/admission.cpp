// Route, token and limits, in their order, until the verdict.
#include "proxy/exchange/admission.h"

#include <algorithm>

#include "http/hygiene.h"
#include "proxy/client_address.h"
#include "proxy/exchange/cors.h"
#include "proxy/exchange/routing.h"

namespace sluice::proxy {

namespace {

// Sluice needs nobody for the answer: there is a reserve for that.
bool answers_itself(config::RouteKind kind) {
  switch (kind) {
    case config::RouteKind::redirect:
    case config::RouteKind::respond:
    case config::RouteKind::health:
    case config::RouteKind::metrics: return true;
    default: return false;
  }
}

}  // namespace

Admission::Verdict Admission::begin(Station& station, RequestContext& context, Errand& errand) {
  if (is_trusted(context.config(), context.client)) {
    const http::Fields& fields = context.request().fields;
    context.trust = http::Trust::peer;
    context.record.taken_id = http::read_request_id(fields);
    context.client = client_address(context.config(), context.client, fields);
  }
  if (const auto refused = choose(station, context)) return *refused;
  if (context.route().limits_before.empty()) return check_token(station, context, errand);
  return check_limits(station, context, errand, config::LimitStage::before_auth);
}

// The route, and what it says that costs nothing to look at.
std::optional<Admission::Verdict> Admission::choose(Station& station, RequestContext& context) {
  const http::RequestHead& request = context.request();
  if (request.method == http::Method::connect || request.method == http::Method::trace)
    return refuse_method(context, config::method_bit(http::Method::connect) - 1);
  if (const auto answered = answer_preflight(context)) return answered;
  const auto [found, rule] = choose_route(context, request.method);
  if (rule != http::Rule::none) {
    context.stream.close_afterwards();
    return refuse(context, rule);
  }
  if (found.route == config::no_route) {
    if (found.methods != 0) return refuse_method(context, found.methods);
    return refuse(context, {.status = 404, .reason = Failure::route_none});
  }
  context.route_index = found.route;
  const config::Route& route = context.route();
  context.record.route = route.label;
  settle_path(context);
  if (route.underscores == http::Underscores::refuse &&
      http::find_underscored(request.fields) != nullptr)
    return refuse(context, {.status = 400, .reason = http::Rule::underscore});
  if (!route.addresses.empty() && !admits_address(context))
    return refuse(context, {.status = 403, .reason = Failure::address_denied});
  if (station.is_overloaded() && !answers_itself(route.kind)) {
    station.counters.overload_refused.add();
    return refuse(
        context,
        {.status = 503, .reason = Failure::overload, .retry_after = std::chrono::seconds{1}});
  }
  body_max_ = route.body_bytes.value_or(context.config().bounds.request_body_bytes);
  if (body_max_ != 0 && std::max(request.content_length, context.record.body_bytes) > body_max_) {
    context.stream.close_afterwards();
    return refuse(context, {.status = 413, .reason = http::Rule::body_too_large});
  }
  return std::nullopt;
}

// A preflight asks about another method than its own, without a token; it costs no limit anything.
std::optional<Admission::Verdict> Admission::answer_preflight(RequestContext& context) {
  const auto method = preflight_method(context.request());
  if (!method) return std::nullopt;
  const auto [found, rule] = choose_route(context, *method);
  if (rule != http::Rule::none || found.route == config::no_route ||
      !context.config().routes[found.route].cors)
    return std::nullopt;
  context.route_index = found.route;
  context.record.route = context.route().label;
  if (!context.route().addresses.empty() && !admits_address(context))
    return refuse(context, {.status = 403, .reason = Failure::address_denied});
  return refuse(context, {.status = 204, .preflight = allows_origin(context)});
}

Admission::Verdict Admission::refuse(const RequestContext& context, const LocalReply& answer) {
  state_ = State::decided;
  answer_ = answer;
  answer_->persistence = context.stream.persistence();
  return Verdict::refused;
}

Admission::Verdict Admission::refuse(RequestContext& context, http::Rule rule) {
  return refuse(context, {.status = http::status_of(rule), .reason = rule});
}

Admission::Verdict Admission::refuse_method(const RequestContext& context, uint16_t allowed) {
  return refuse(context,
                {.status = 405, .reason = Failure::method_not_allowed, .allowed_methods = allowed});
}

// --- waiting ---------------------------------------------------------------------------------

std::optional<core::Instant> Admission::deadline() const {
  if (state_ == State::waiting_keys) return keys_deadline_;
  if (state_ == State::holding) return release_at_;
  return std::nullopt;
}

Admission::Verdict Admission::on_deadline(Station& station, RequestContext& context,
                                          Errand& errand) {
  if (state_ == State::waiting_keys) {
    CoreGeneration::stop_waiting_for_keys(key_wait_);
    return apply_token(station, context, errand);
  }
  SLUICE_ASSERT(state_ == State::holding);
  stop(station);
  return Verdict::admitted;
}

void Admission::stop(Station& station) {
  if (key_wait_.is_linked()) CoreGeneration::stop_waiting_for_keys(key_wait_);
  give_up_hold_place(station);
  state_ = State::decided;
}

}  // namespace sluice::proxy
