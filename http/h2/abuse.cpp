// Budgets for what a peer may do too often, and the name of each abuse.
#include "http/h2/abuse.h"

#include <algorithm>

#include "core/assert.h"

namespace sluice::http::h2 {

namespace {

struct Allowance {
  uint32_t burst;
  uint32_t per_second;
};

// Several times what the liveliest clients do: a browser that leaves a page resets as many streams
// as it had open; gRPC probes the bandwidth with a PING for each round trip that brings data.
constexpr Allowance allowance(Abuse kind) {
  switch (kind) {
    case Abuse::reset: return {200, 50};
    case Abuse::made_reset: return {100, 10};
    case Abuse::refused: return {100, 10};
    case Abuse::settings: return {16, 2};
    case Abuse::ping: return {64, 20};
    case Abuse::window_update: return {2000, 400};
    case Abuse::priority: return {400, 100};
    case Abuse::empty_data: return {100, 10};
    case Abuse::continuation: return {1, 1};  // counted for each block by itself
    case Abuse::header_list: return {8, 1};
    case Abuse::stalled: return {8, 1};
    case Abuse::none: break;
  }
  return {0, 0};
}

}  // namespace

std::string_view reason_code(Abuse abuse) {
  switch (abuse) {
    case Abuse::none: return "-";
    case Abuse::reset: return "h2.rapid_reset";
    case Abuse::made_reset: return "h2.made_reset";
    case Abuse::refused: return "h2.refused_streams";
    case Abuse::settings: return "h2.settings_flood";
    case Abuse::ping: return "h2.ping_flood";
    case Abuse::window_update: return "h2.window_flood";
    case Abuse::priority: return "h2.priority_flood";
    case Abuse::empty_data: return "h2.empty_data_flood";
    case Abuse::continuation: return "h2.continuation_flood";
    case Abuse::header_list: return "h2.header_bomb";
    case Abuse::stalled: return "h2.stalled_streams";
  }
  SLUICE_UNREACHABLE();
}

bool AbuseBudget::spend(Abuse kind, uint64_t now_ms, uint32_t amount) {
  const Allowance allowed = allowance(kind);
  Level& level = levels_[static_cast<size_t>(kind)];
  const uint64_t back = (now_ms - level.since_ms) * allowed.per_second;
  level.spent = back >= level.spent ? 0 : level.spent - static_cast<uint32_t>(back);
  level.since_ms = now_ms;
  const uint64_t wanted = level.spent + uint64_t{amount} * 1000;
  if (wanted > uint64_t{allowed.burst} * 1000) return false;
  level.spent = static_cast<uint32_t>(wanted);
  return true;
}

void AbuseBudget::pay_back(Abuse kind, uint32_t amount) {
  Level& level = levels_[static_cast<size_t>(kind)];
  level.spent -= std::min(level.spent, amount * 1000);
}

// A receiver that updates both windows for each frame sends two; one that updates them at half is
// far below.
void AbuseBudget::note_data_sent() {
  pay_back(Abuse::window_update, 4);
  pay_back(Abuse::ping, 1);
}

void AbuseBudget::note_request() { pay_back(Abuse::priority, 4); }

}  // namespace sluice::http::h2
