// What the limits say about a request, on this core and on others; holding it back; and what they
// get back when it ends.
#include <utility>

#include "proxy/exchange/exchange.h"
#include "proxy/room.h"

namespace sluice::proxy {

namespace {

// How long a client is told to wait for what no time brings: another of its requests must end.
constexpr core::Duration soon = std::chrono::seconds{1};

}  // namespace

void Exchange::check_limits(Station& station, config::LimitStage stage) {
  limit_stage_ = stage;
  limits_.begin_stage();
  const config::Route& of = route();
  for (const uint16_t limit :
       stage == config::LimitStage::before_auth ? of.limits_before : of.limits_after) {
    if (!claim(station, limit)) {
      reply_error(station, 403, Failure::limit_key_missing);
      return;
    }
  }
  if (hold_place_ == limiter::Holding::full && !limits_.is_empty())
    hold_place_ = take_hold_place(station, limits_.first_hash());
  limits_.begin_asking(hold_place_);
  ask_limits(station);
}

// Adds what the request claims of this limit; false if its key has a part that the request lacks,
// and that matters.
bool Exchange::claim(Station& station, uint16_t limit) {
  const config::NamedLimit& named = config().limits[limit];
  const auto key = key_of(station, named.key, named.id);
  if (!key) return named.on_missing == config::OnMissing::skip;
  limiter::Claim claim = key->claim;
  claim.limit = named.number;
  limits_.add(claim, config().limit_rules[limit].kind, key->owner);
  return true;
}

std::optional<Exchange::Key> Exchange::key_of(Station& station,
                                              std::span<const config::KeyPart> parts,
                                              uint64_t id) const {
  limiter::KeyHash key = station.ownership.key(id);
  const limiter::Network network = station.ownership.network_of(client_);
  bool has_address = false;
  for (const config::KeyPart& part : parts) {
    std::string_view text;
    switch (part.kind) {
      case config::KeyPart::Kind::address:
        has_address = true;
        key.add(network);
        continue;
      case config::KeyPart::Kind::route: text = route().name; break;
      case config::KeyPart::Kind::claim:
        text = attempt_.examined.principal.claim(part.claim);
        break;
      case config::KeyPart::Kind::header:
        // Several fields of a name are one list (RFC 9110 5.3); which of them counts must not be
        // the client's choice.
        for (const http::Field& field : request_.fields) {
          if (!http::equals_ignoring_case(request_.fields.name(field), part.name)) continue;
          if (!text.empty()) key.add(text);
          text = request_.fields.value(field);
        }
        break;
    }
    if (text.empty()) return std::nullopt;
    key.add(text);
    if (part.kind == config::KeyPart::Kind::header) key.end_list();
  }
  const limiter::Claim claim = key.claim(0);
  return Key{claim, has_address ? station.ownership.owner_of(network)
                                : station.ownership.owner_of(claim.hash)};
}

void Exchange::ask_limits(Station& station) {
  if (visit_owners(station)) {
    apply_limits(station);
  } else {
    state_ = State::asking_limit;
    downstream_->channel().watch(station);
  }
}

// Goes from core to core; false while the answer of another one is awaited.
bool Exchange::visit_owners(Station& station) {
  uint32_t owner = 0;
  while (limits_.next(message_.visit, owner)) {
    if (owner != station.index) {
      message_.kind = static_cast<uint16_t>(MessageKind::limit_request);
      message_is_out_ = true;
      station.counters.limit_remote.add();
      station.post(owner, message_);
      return false;
    }
    station.answer(message_.visit);
    limits_.absorb(message_.visit);
  }
  return true;
}

void Exchange::on_limit_answer(Station& station) {
  message_is_out_ = false;
  limits_.absorb(message_.visit);
  if (state_ == State::asking_limit) {
    ask_limits(station);
  } else {
    end_if_quiet(station);  // it ended meanwhile; what was charged stays charged, what was set
                            // aside is given back
  }
}

void Exchange::apply_limits(Station& station) {
  const limiter::Verdict& verdict = limits_.verdict();
  if (verdict.would_refuse != limiter::no_limit) would_refuse_ = verdict.would_refuse;
  if (verdict.kind == limiter::Decision::Kind::refuse) {
    refuse_by_limit(station, verdict);
    return;
  }
  release_at_ = std::max(release_at_, verdict.release_at);
  if (limit_stage_ == config::LimitStage::before_auth) {
    // Looking at the token may take long; only who will be held keeps a place for it.
    if (release_at_ <= station.now()) give_up_hold_place(station);
    check_token(station);
  } else {
    hold_or_proceed(station);
  }
}

void Exchange::refuse_by_limit(Station& station, const limiter::Verdict& verdict) {
  const std::vector<config::NamedLimit>& all = config().limits;
  const auto named = std::find_if(all.begin(), all.end(), [&](const config::NamedLimit& limit) {
    return limit.number == verdict.refused_by;
  });
  SLUICE_ASSERT(named != all.end());
  reply(station, {.status = 429,
                  .reason = Reason::limit(verdict.refused_by),
                  .persistence = persistence_,
                  .retry_after = std::max(verdict.retry_after, soon),
                  .limit = &config().limit_rules[static_cast<size_t>(named - all.begin())],
                  .limit_name = named->name});
}

// All is granted. The longest hold of all limits counts.
void Exchange::hold_or_proceed(Station& station) {
  if (release_at_ <= station.now()) {
    give_up_hold_place(station);
    admitted_at_ = station.now();
    proceed(station);
    return;
  }
  SLUICE_ASSERT(hold_place_ == limiter::Holding::allowed);
  state_ = State::holding;
  held_share_ = &station.held.join(limits_.first_hash());
  station.counters.exchanges_held.add();
  downstream_->channel().watch(station);
  station.wheel().arm(timer_, release_at_);
}

void Exchange::give_up_hold_place(Station& station) {
  if (state_ == State::holding) station.counters.exchanges_held.subtract();
  if (hold_place_ == limiter::Holding::allowed)
    give_hold_place(station, std::exchange(held_share_, nullptr));
  hold_place_ = limiter::Holding::full;
}

}  // namespace sluice::proxy
