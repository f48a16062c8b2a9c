// What a reason code means, in words: what happened, and who must do what. One table for the
// documentation (docs/reasons.md, by `sluice reasons --markdown`) and for whoever asks the program.
#pragma once

#include <span>
#include <string_view>

namespace sluice::proxy {

struct ReasonWords {
  std::string_view code;
  std::string_view status;  // of the answer; "-" where the connection just ends
  std::string_view what;
  std::string_view who;
};

// By code.
[[nodiscard]] std::span<const ReasonWords> all_reason_words();
// Codes of limits have the limit's name in them: "limit.NAME" stands for all. nullptr: no such
// code.
[[nodiscard]] const ReasonWords* words_of(std::string_view code);

}  // namespace sluice::proxy
