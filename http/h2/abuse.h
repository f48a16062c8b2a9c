// What a peer may do only so often: each kind has a budget, a burst and so much a second again.
// Work that was done for the peer pays some of them back. Whoever spends more than there is ends
// the session with ENHANCE_YOUR_CALM.
//
// Embedded in a session. Time is a parameter, in milliseconds of any clock that does not go back.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::http::h2 {

enum class Abuse : uint8_t {
  none,
  reset,          // streams that the peer opens and resets (CVE-2023-44487)
  made_reset,     // streams that it makes us reset, by what it sends on them (CVE-2025-8671)
  refused,        // streams beyond those it may have open
  settings,       // SETTINGS, each of which is acknowledged
  ping,           // PING, as well
  window_update,  // WINDOW_UPDATE in small steps
  priority,       // PRIORITY and PRIORITY_UPDATE
  empty_data,     // DATA without a byte and without an end
  continuation,   // CONTINUATION frames of one header block (CVE-2024-27316)
  header_list,    // a header block that unfolds to far more than a head may have
  stalled,        // a body that the peer asked for and gives no window to
};
inline constexpr size_t abuse_count = 12;

// "h2.rapid_reset" and so on; stable.
[[nodiscard]] std::string_view reason_code(Abuse abuse);

class AbuseBudget {
 public:
  // Takes `amount` of the kind's budget. False: there is not so much.
  [[nodiscard]] bool spend(Abuse kind, uint64_t now_ms, uint32_t amount = 1);
  // The peer took so many frames of a body, which it answers with windows and pings.
  void note_data_sent();
  void note_request();

 private:
  struct Level {
    uint32_t spent = 0;  // in thousandths
    uint64_t since_ms = 0;
  };
  void pay_back(Abuse kind, uint32_t amount);

  std::array<Level, abuse_count> levels_;
};

}  // namespace sluice::http::h2
