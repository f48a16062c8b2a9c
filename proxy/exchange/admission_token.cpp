// Who calls: the token is found, remembered or verified, here or on another thread.
#include <algorithm>

#include "http/uri.h"
#include "proxy/exchange/admission.h"

namespace sluice::proxy {

namespace {

// Keys that are asked for come in this time, or the token is refused.
constexpr core::Duration keys_timeout = std::chrono::seconds{5};

// What costs a signature check, or a look for keys; anything else is refused cheaply.
bool is_costly(auth::Refusal refusal) {
  return refusal == auth::Refusal::signature || refusal == auth::Refusal::signature_form ||
         refusal == auth::Refusal::kid_needed || refusal == auth::Refusal::unknown_key ||
         refusal == auth::Refusal::key_unknown || refusal == auth::Refusal::password_wrong;
}

// What is missing where no token would do.
auth::Refusal missing_of(const std::vector<auth::TokenSource>& sources, auth::Refusal refusal) {
  using Kind = auth::TokenSource::Kind;
  const auto is_token = [](const auth::TokenSource& source) {
    return source.kind != Kind::api_key && source.kind != Kind::basic;
  };
  if (!auth::is_absence(refusal) || sources.empty() ||
      std::any_of(sources.begin(), sources.end(), is_token))
    return refusal;
  if (sources.front().kind == Kind::api_key) return auth::Refusal::key_missing;
  return refusal == auth::Refusal::malformed ? auth::Refusal::password_form
                                             : auth::Refusal::password_missing;
}

auth::Acceptance acceptance(const RequestContext& context) {
  return {context.route().providers, context.route().sources};
}

}  // namespace

Admission::Verdict Admission::check_token(Station& station, RequestContext& context,
                                          Errand& errand) {
  using Progress = auth::Authenticator::Progress;
  if (context.route().auth == config::AuthMode::none) return apply_token(station, context, errand);
  http::RequestHead& request = context.request();
  for (const auth::TokenSource& source : context.route().sources) {
    if (source.kind == auth::TokenSource::Kind::query)
      http::decode_parameter(request, context.stream.memory(), source.name);
  }
  const Progress progress = context.generation->authenticator().look_up(
      acceptance(context), request.fields, request.query, station.epoch_seconds(), context.token);
  if (progress == Progress::settled) return apply_token(station, context, errand);
  // Whoever brought too many wrong tokens costs no signature check any more.
  const limiter::Verdict verdict = station.judge_failures(context.client);
  if (verdict.kind == limiter::Decision::Kind::refuse) {
    return refuse_token(context, auth::Refusal::flood,
                        std::max<core::Duration>(verdict.retry_after, std::chrono::seconds{1}));
  }
  return verify_token(station, context, errand, KeyHope::new_ones_may_come);
}

Admission::Verdict Admission::verify_token(Station& station, RequestContext& context,
                                           Errand& errand, KeyHope hope) {
  using Progress = auth::Authenticator::Progress;
  switch (context.generation->authenticator().verify(acceptance(context), station.epoch_seconds(),
                                                     context.token)) {
    case Progress::elsewhere: return check_signature_elsewhere(station, context, errand);
    case Progress::waiting:
      if (hope == KeyHope::none || !context.generation->wait_for_keys(key_wait_)) break;
      state_ = State::waiting_keys;
      keys_deadline_ = station.now() + keys_timeout;
      return Verdict::waiting;
    case Progress::settled:
    case Progress::unknown: break;
  }
  if (is_costly(context.token.examined.refusal)) station.note_failure(context.client);
  return apply_token(station, context, errand);
}

Admission::Verdict Admission::on_keys(Station& station, RequestContext& context, Errand& errand) {
  SLUICE_ASSERT(state_ == State::waiting_keys);
  state_ = State::deciding;
  return verify_token(station, context, errand, KeyHope::none);
}

Admission::Verdict Admission::check_signature_elsewhere(Station& station, RequestContext& context,
                                                        Errand& errand) {
  const auth::Examined& examined = context.token.examined;
  const auth::TokenVerifier& verifier = context.generation->authenticator().verifier();
  SignatureJob& job = errand.message().signature;
  job.user = context.token.user;
  job.key_count = job.user != nullptr ? 0 : static_cast<uint8_t>(examined.key_count);
  for (uint8_t index = 0; index < job.key_count; ++index)
    job.keys[index] = &verifier.key(examined, index);
  job.text = job.user != nullptr ? context.token.token : examined.signed_text;
  job.signature = examined.signature;
  job.generation = context.generation->keys().generation;
  if (!errand.submit(station, job.user != nullptr ? Job::check_password : Job::check_signature))
    return refuse_token(context, auth::Refusal::busy, std::chrono::seconds{1});
  context.generation->note_signature_out();
  if (job.user == nullptr)
    context.generation->authenticator().verifier().count_verified(job.keys[0]->algorithm);
  state_ = State::checking_signature;
  return Verdict::waiting;
}

Admission::Verdict Admission::on_signature(Station& station, RequestContext& context,
                                           Errand& errand) {
  SLUICE_ASSERT(state_ == State::checking_signature);
  state_ = State::deciding;
  auth::Examined& examined = context.token.examined;
  examined.refusal = errand.message().signature.refusal;
  context.generation->authenticator().settle(station.epoch_seconds(), context.token);
  if (is_costly(examined.refusal)) station.note_failure(context.client);
  return apply_token(station, context, errand);
}

// The token is judged.
Admission::Verdict Admission::apply_token(Station& station, RequestContext& context,
                                          Errand& errand) {
  const config::Route& of = context.route();
  const auth::Examined& examined = context.token.examined;
  const auth::Refusal refusal =
      of.auth == config::AuthMode::none ? auth::Refusal::none : examined.refusal;
  // Optional means that there may be no token, not that there may be a bad one.
  const bool is_absent = auth::is_absence(refusal) && of.auth == config::AuthMode::optional;
  if (refusal != auth::Refusal::none && !is_absent) {
    const bool comes_back = auth::status_of(refusal) == 503;
    return refuse_token(context, refusal,
                        comes_back ? core::Duration{std::chrono::seconds{1}} : core::Duration{0});
  }
  const bool meets = of.requirement == auth::no_requirement ||
                     (examined.principal.meets >> of.requirement & 1) != 0;
  if (!meets) {
    auth::TokenVerifier& verifier = context.generation->authenticator().verifier();
    return refuse(context, {.status = 403,
                            .reason = auth::Refusal::forbidden,
                            .unmet = verifier.unmet(context.token.token, examined, of.requirement),
                            .sources = of.sources});
  }
  if (!of.limits_after.empty())
    return check_limits(station, context, errand, config::LimitStage::after_auth);
  stage_ = config::LimitStage::after_auth;
  return hold_or_admit(station);
}

Admission::Verdict Admission::refuse_token(RequestContext& context, auth::Refusal refusal,
                                           core::Duration retry_after) {
  context.token.examined.principal = {};  // nobody has shown to be that
  const std::vector<auth::TokenSource>& sources = context.route().sources;
  refusal = missing_of(sources, refusal);
  return refuse(context, {.status = auth::status_of(refusal),
                          .reason = refusal,
                          .retry_after = retry_after,
                          .sources = sources});
}

}  // namespace sluice::proxy
