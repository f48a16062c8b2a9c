// What the limits say about a request, on this core and on others; holding it back; and what they
// get back when it ends.
#include <algorithm>
#include <utility>

#include "proxy/exchange/admission.h"
#include "proxy/room.h"

namespace sluice::proxy {

namespace {

// How long a client is told to wait for what no time brings: another of its requests must end.
constexpr core::Duration soon = std::chrono::seconds{1};

// Nobody is held beyond the deadline: what could not be let go by then would only be a 504 later.
limiter::HoldLimit hold_limit(const RequestContext& context) {
  const core::Duration deadline = context.route().deadline;
  if (deadline == core::Duration{0}) return {};
  const bool is_whole = context.record.received_at != core::Instant{};
  return {(is_whole ? context.record.received_at : context.record.head_at) + deadline};
}

}  // namespace

Admission::Verdict Admission::check_limits(Station& station, RequestContext& context,
                                           Errand& errand, config::LimitStage stage) {
  stage_ = stage;
  limits_.begin_stage();
  const config::Route& of = context.route();
  for (const uint16_t limit :
       stage == config::LimitStage::before_auth ? of.limits_before : of.limits_after) {
    if (!claim(station, context, limit))
      return refuse(context, {.status = 403, .reason = Failure::limit_key_missing});
  }
  if (hold_place_ == limiter::Holding::full && !limits_.is_empty())
    hold_place_ = take_hold_place(station, limits_.first_hash());
  limits_.begin_asking(hold_place_ == limiter::Holding::full ? limiter::no_hold
                                                             : hold_limit(context));
  return ask_limits(station, context, errand);
}

// Adds what the request claims of this limit; false if its key has a part that the request lacks,
// and that matters.
bool Admission::claim(Station& station, const RequestContext& context, uint16_t limit) {
  const config::NamedLimit& named = context.config().limits[limit];
  const auto key = key_of(station, context, named.key, named.id);
  if (!key) return named.on_missing == config::OnMissing::skip;
  limiter::Claim claim = key->claim;
  claim.limit = named.number;
  limits_.add(claim, context.config().limit_rules[limit].kind, key->owner);
  return true;
}

Admission::Verdict Admission::on_limits(Station& station, RequestContext& context, Errand& errand) {
  SLUICE_ASSERT(state_ == State::asking_limit);
  state_ = State::deciding;
  return ask_limits(station, context, errand);
}

// Goes from core to core; false while the answer of another one is awaited.
bool Admission::visit_owners(Station& station, Errand& errand) {
  LimitVisit& visit = errand.message().visit;
  uint32_t owner = 0;
  while (limits_.next(visit, owner)) {
    if (owner != station.index) {
      errand.ask(station, owner);
      return false;
    }
    station.answer(visit);
    limits_.absorb(visit);
  }
  return true;
}

Admission::Verdict Admission::ask_limits(Station& station, RequestContext& context,
                                         Errand& errand) {
  if (!visit_owners(station, errand)) {
    state_ = State::asking_limit;
    return Verdict::waiting;
  }
  const limiter::Verdict& verdict = limits_.verdict();
  if (verdict.would_refuse != limiter::no_limit) context.record.would_refuse = verdict.would_refuse;
  if (verdict.kind == limiter::Decision::Kind::refuse) return refuse_by_limit(context);
  context.limit_fields.note(context.config(), context.route(), verdict.nearest);
  release_at_ = std::max(release_at_, verdict.release_at);
  if (stage_ == config::LimitStage::after_auth) return hold_or_admit(station);
  // Looking at the token may take long; only who will be held keeps a place for it.
  if (release_at_ <= station.now()) give_up_hold_place(station);
  return check_token(station, context, errand);
}

Admission::Verdict Admission::refuse_by_limit(RequestContext& context) {
  const uint16_t by = limits_.verdict().refused_by;
  const core::Duration wait = std::max(limits_.verdict().retry_after, soon);
  context.limit_fields = {};  // whatever others have left
  context.limit_fields.note(context.config(), context.route(),
                            {by, {.requests = 0, .more_in = wait}});
  return refuse(context, {.status = 429, .reason = Reason::limit(by), .retry_after = wait});
}

// All is granted. The longest hold of all limits counts.
Admission::Verdict Admission::hold_or_admit(Station& station) {
  if (release_at_ <= station.now()) {
    stop(station);
    return Verdict::admitted;
  }
  SLUICE_ASSERT(hold_place_ == limiter::Holding::allowed);
  state_ = State::holding;
  held_ = &station.held.join(limits_.first_hash());
  station.counters.exchanges_held.add();
  return Verdict::waiting;
}

void Admission::give_up_hold_place(Station& station) {
  if (state_ == State::holding) station.counters.exchanges_held.subtract();
  if (hold_place_ == limiter::Holding::allowed)
    give_hold_place(station, std::exchange(held_, nullptr));
  hold_place_ = limiter::Holding::full;
}

bool Admission::has_given_back(Station& station, Errand& errand) {
  if (limits_.is_clear()) return true;
  limits_.begin_giving_back();
  return visit_owners(station, errand);
}

}  // namespace sluice::proxy
