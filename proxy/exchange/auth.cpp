// Who calls: the token is found, remembered or verified, here or on another thread; and what the
// endpoint is told of it.
#include "http/uri.h"
#include "proxy/exchange/exchange.h"

namespace sluice::proxy {

namespace {

// Keys that are asked for come in this time, or the token is refused.
constexpr core::Duration keys_timeout = std::chrono::seconds{5};

// What costs a signature check, or a look for keys; anything else is refused cheaply.
bool is_costly(auth::Refusal refusal) {
  return refusal == auth::Refusal::signature || refusal == auth::Refusal::signature_form ||
         refusal == auth::Refusal::kid_needed || refusal == auth::Refusal::unknown_key ||
         refusal == auth::Refusal::key_unknown;
}

}  // namespace

auth::Acceptance Exchange::acceptance() const { return {route().providers, route().sources}; }

void Exchange::check_token(Station& station) {
  using Progress = auth::Authenticator::Progress;
  if (route().auth == config::AuthMode::none) {
    apply_token(station);
    return;
  }
  for (const auth::TokenSource& source : route().sources) {
    if (source.kind == auth::TokenSource::Kind::query)
      http::decode_parameter(request_, reinterpret_cast<char*>(request_area().data()), source.name);
  }
  const Progress progress = generation_->authenticator().look_up(
      acceptance(), request_.fields, request_.query, station.epoch_seconds(), attempt_);
  if (progress == Progress::settled) {
    apply_token(station);
    return;
  }
  // Whoever brought too many wrong tokens costs no signature check any more.
  const limiter::Verdict verdict = station.judge_failures(client_);
  if (verdict.kind == limiter::Decision::Kind::refuse) {
    refuse_token(station, auth::Refusal::flood,
                 std::max<core::Duration>(verdict.retry_after, std::chrono::seconds{1}));
    return;
  }
  verify_token(station, KeyHope::new_ones_may_come);
}

void Exchange::verify_token(Station& station, KeyHope hope) {
  using Progress = auth::Authenticator::Progress;
  switch (generation_->authenticator().verify(acceptance(), station.epoch_seconds(), attempt_)) {
    case Progress::elsewhere: check_signature_elsewhere(station); return;
    case Progress::waiting:
      if (hope == KeyHope::none || !generation_->wait_for_keys(key_wait_)) break;
      state_ = State::waiting_keys;
      downstream_->channel().watch(station);
      station.wheel().arm(timer_, station.now() + keys_timeout);
      return;
    case Progress::settled:
    case Progress::unknown: break;
  }
  if (is_costly(attempt_.examined.refusal)) station.note_failure(client_);
  apply_token(station);
}

void Exchange::on_keys(Station& station) {
  SLUICE_ASSERT(state_ == State::waiting_keys);
  station.wheel().disarm(timer_);
  state_ = State::admitting;
  verify_token(station, KeyHope::none);
}

void Exchange::check_signature_elsewhere(Station& station) {
  const auth::Examined& examined = attempt_.examined;
  SignatureJob& job = message_.signature;
  job.key_count = static_cast<uint8_t>(examined.key_count);
  for (uint8_t index = 0; index < job.key_count; ++index)
    job.keys[index] = &generation_->authenticator().verifier().key(examined, index);
  job.text = examined.signed_text;
  job.signature = examined.signature;
  message_.job = Job::check_signature;
  message_.report = nullptr;
  job.generation = generation_->keys().generation;
  if (!station.submit(message_)) {
    station.counters.offload_refused.add();
    refuse_token(station, auth::Refusal::busy, std::chrono::seconds{1});
    return;
  }
  generation_->note_signature_out();
  station.counters.offload_jobs.add();
  generation_->authenticator().verifier().count_verified(job.keys[0]->algorithm);
  state_ = State::checking_signature;
  message_is_out_ = true;
  downstream_->channel().watch(station);
}

void Exchange::on_signature_checked(Station& station) {
  generation_->note_signature_back(message_.signature.generation);
  if (state_ != State::checking_signature) {
    end_if_quiet(station);
    return;
  }
  state_ = State::admitting;
  attempt_.examined.refusal = message_.signature.refusal;
  generation_->authenticator().settle(station.epoch_seconds(), attempt_);
  if (is_costly(attempt_.examined.refusal)) station.note_failure(client_);
  apply_token(station);
}

// The token is judged.
void Exchange::apply_token(Station& station) {
  const config::Route& of = route();
  const auth::Refusal refusal =
      of.auth == config::AuthMode::none ? auth::Refusal::none : attempt_.examined.refusal;
  // Optional means that there may be no token, not that there may be a bad one.
  const bool is_absent = auth::is_absence(refusal) && of.auth == config::AuthMode::optional;
  if (refusal != auth::Refusal::none && !is_absent) {
    const bool comes_back = auth::status_of(refusal) == 503;
    refuse_token(station, refusal,
                 comes_back ? core::Duration{std::chrono::seconds{1}} : core::Duration{0});
    return;
  }
  const bool meets = of.requirement == auth::no_requirement ||
                     (attempt_.examined.principal.meets >> of.requirement & 1) != 0;
  if (!meets) {
    reply_error(station, 403, auth::Refusal::forbidden);
    return;
  }
  if (of.limits_after.empty()) {
    limit_stage_ = config::LimitStage::after_auth;
    hold_or_proceed(station);
  } else {
    check_limits(station, config::LimitStage::after_auth);
  }
}

void Exchange::refuse_token(Station& station, auth::Refusal refusal, core::Duration retry_after) {
  attempt_.examined.principal = {};  // nobody has shown to be that
  reply(station, {.status = auth::status_of(refusal),
                  .reason = refusal,
                  .persistence = persistence_,
                  .retry_after = retry_after});
}

// --- upstream --------------------------------------------------------------------------------

// Fields that speak of who calls are ours alone, in every spelling of theirs; those with '_' are
// gone already. What the caller showed goes no further where the configuration says so, and a token
// in the query never does.
void Exchange::drop_identity() {
  for (const config::AuthConfig& entry : config().auth) {
    for (http::Field& field : request_.fields) {
      const std::string_view name = request_.fields.name(field);
      const auto is_named = [&](const config::ClaimField& ours) {
        return http::equals_ignoring_case(ours.name, name);
      };
      if (std::any_of(entry.claim_fields.begin(), entry.claim_fields.end(), is_named) ||
          http::equals_ignoring_case(entry.payload_field, name)) {
        field.disposition = http::Disposition::drop;
      }
    }
  }
  if (attempt_.source == nullptr || route().auth == config::AuthMode::none) return;
  if (attempt_.source->kind == auth::TokenSource::Kind::query) {
    char* bytes = reinterpret_cast<char*>(request_area().data());
    http::remove_parameter(request_, bytes, attempt_.source->name);
  }
  if (attempt_.source->kind == auth::TokenSource::Kind::protocol) drop_protocol_token();
  if (config().auth[attempt_.examined.provider].credential != config::Credential::strip) return;
  for (http::Field& field : request_.fields) {
    const bool is_token = attempt_.source->kind == auth::TokenSource::Kind::header &&
                          field.id == http::FieldName::authorization;
    const bool is_key =
        (attempt_.source->kind == auth::TokenSource::Kind::api_key ||
         attempt_.source->kind == auth::TokenSource::Kind::field) &&
        http::equals_ignoring_case(attempt_.source->name, request_.fields.name(field));
    if (is_token || is_key) field.disposition = http::Disposition::drop;
  }
}

void Exchange::drop_protocol_token() {
  char* bytes = reinterpret_cast<char*>(request_area().data());
  for (http::Field& field : request_.fields) {
    if (!http::equals_ignoring_case(request_.fields.name(field), "sec-websocket-protocol"))
      continue;
    const std::string_view list = request_.fields.value(field);
    const std::string_view left =
        auth::remove_protocol_token(list, bytes + (list.data() - bytes), attempt_.source->name);
    field.value_size = static_cast<uint16_t>(left.size());
    if (left.empty()) field.disposition = http::Disposition::drop;
  }
}

size_t Exchange::add_identity(std::span<http::AddedField> memory) const {
  size_t count = 0;
  if (attempt_.source == nullptr || route().auth == config::AuthMode::none) return 0;
  const config::AuthConfig& entry = config().auth[attempt_.examined.provider];
  for (const config::ClaimField& field : entry.claim_fields) {
    const std::string_view value = attempt_.examined.principal.claim(field.claim);
    if (!value.empty() && count < memory.size()) memory[count++] = {field.name, value};
  }
  if (!entry.payload_field.empty() && attempt_.source->kind != auth::TokenSource::Kind::api_key &&
      count < memory.size()) {
    if (const std::string_view payload = auth::payload_of(attempt_.token); !payload.empty())
      memory[count++] = {entry.payload_field, payload};
  }
  return count;
}

}  // namespace sluice::proxy
