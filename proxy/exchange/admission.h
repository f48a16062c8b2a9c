// Whether a request may go where it wants to: route, address, token and limits, in this order. It
// judges at once where it can; else it waits, and goes on when it is told of what it waits for.
//
// Part of an exchange, which does what the verdict says.
#pragma once

#include <optional>
#include <string_view>

#include "proxy/exchange/errand.h"
#include "proxy/exchange/request_context.h"
#include "proxy/exchange/request_key.h"
#include "proxy/limit_check.h"
#include "proxy/local_reply.h"

namespace sluice::proxy {

class Admission {
 public:
  enum class State : uint8_t {
    deciding,            // judges at once
    checking_signature,  // another thread does
    waiting_keys,        // no key has the token's kid: those who bring keys are asked
    asking_limit,        // the core that owns the key is asked
    holding,             // shaped: waits for its turn
    decided,             // or given up
  };
  enum class Verdict : uint8_t {
    admitted,  // the route's action follows
    refused,   // with answer(), which may also be that to a preflight
    waiting,   // for an event; until deadline() at most, if there is one
  };

  void bind(Exchange& exchange) { key_wait_.exchange = &exchange; }
  [[nodiscard]] Verdict begin(Station& station, RequestContext& context, Errand& errand);

  // --- what was waited for -------------------------------------------------------------------
  [[nodiscard]] Verdict on_keys(Station& station, RequestContext& context, Errand& errand);
  [[nodiscard]] Verdict on_signature(Station& station, RequestContext& context, Errand& errand);
  [[nodiscard]] Verdict on_limits(Station& station, RequestContext& context, Errand& errand);
  [[nodiscard]] Verdict on_deadline(Station& station, RequestContext& context, Errand& errand);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const LocalReply& answer() const { return *answer_; }
  [[nodiscard]] std::optional<core::Instant> deadline() const;
  // Bytes of the request's body; 0: no bound.
  [[nodiscard]] uint64_t body_max() const { return body_max_; }

  // It is over, or it no longer matters: nothing is waited for.
  void stop(Station& station);
  // The visit that is out has come back.
  void absorb(const LimitVisit& visit) { limits_.absorb(visit); }
  // The request has ended. False while somebody still has to give something back.
  [[nodiscard]] bool has_given_back(Station& station, Errand& errand);

 private:
  enum class KeyHope : uint8_t { new_ones_may_come, none };

  // admission.cpp
  [[nodiscard]] std::optional<Verdict> choose(Station& station, RequestContext& context);
  [[nodiscard]] std::optional<Verdict> answer_preflight(RequestContext& context);
  [[nodiscard]] Verdict refuse(const RequestContext& context, const LocalReply& answer);
  [[nodiscard]] Verdict refuse(RequestContext& context, http::Rule rule);
  [[nodiscard]] Verdict refuse_method(const RequestContext& context, uint16_t allowed);

  // admission_token.cpp: who calls
  [[nodiscard]] Verdict check_token(Station& station, RequestContext& context, Errand& errand);
  [[nodiscard]] Verdict verify_token(Station& station, RequestContext& context, Errand& errand,
                                     KeyHope hope);
  [[nodiscard]] Verdict check_signature_elsewhere(Station& station, RequestContext& context,
                                                  Errand& errand);
  [[nodiscard]] Verdict apply_token(Station& station, RequestContext& context, Errand& errand);
  [[nodiscard]] Verdict refuse_token(RequestContext& context, auth::Refusal refusal,
                                     core::Duration retry_after);

  // admission_limits.cpp: what the limits say, on this core and on others
  [[nodiscard]] Verdict check_limits(Station& station, RequestContext& context, Errand& errand,
                                     config::LimitStage stage);
  [[nodiscard]] bool claim(Station& station, const RequestContext& context, uint16_t limit);
  [[nodiscard]] bool visit_owners(Station& station, Errand& errand);
  [[nodiscard]] Verdict ask_limits(Station& station, RequestContext& context, Errand& errand);
  [[nodiscard]] Verdict refuse_by_limit(RequestContext& context);
  [[nodiscard]] Verdict hold_or_admit(Station& station);
  void give_up_hold_place(Station& station);

  State state_ = State::deciding;
  config::LimitStage stage_ = config::LimitStage::before_auth;
  limiter::Holding hold_place_ = limiter::Holding::full;  // allowed: one of the places is ours
  Share* held_ = nullptr;                                 // then: of the limit's key
  core::Instant release_at_{};                            // shaped: not before
  core::Instant keys_deadline_{};
  uint64_t body_max_ = 0;
  KeyWaiter key_wait_;
  LimitCheck limits_;
  std::optional<LocalReply> answer_;  // refused
};

}  // namespace sluice::proxy
