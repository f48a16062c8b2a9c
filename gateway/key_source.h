// Where keys come from, and what is known of each place: a file, or a URL with whom to believe
// about it. A source is known by what it is, whatever configurations name it, so that a new
// configuration begins with what the one before had.
#pragma once

#include <chrono>
#include <compare>
#include <memory>
#include <string>

#include "core/counter.h"

namespace sluice::gateway {

enum class KeySourceKind : uint8_t { key_set_file, key_set_url, api_keys_file, revocations_file };

struct KeySourceId {
  KeySourceKind kind;
  std::string name;         // a path or a URL
  std::string authorities;  // of a URL: a PEM file, or empty for the system's
  auto operator<=>(const KeySourceId&) const = default;
  // For people and metrics: a URL without user, password and query, which may be secrets.
  [[nodiscard]] std::string label() const;
};

// Written by the keeper's thread, read by those that render metrics.
struct KeySourceCounters {
  core::Counter attempts;     // files read and answers asked for
  core::Counter failures;     // of those, what could not be used
  core::Counter is_good;      // 1: the last attempt gave something to use
  core::Counter loaded_at_s;  // since 1970: when it last gave something to use; 0: never
};

// What one of them last said.
struct KeySource {
  using Clock = std::chrono::steady_clock;
  enum class State : uint8_t {
    untried,  // nobody has looked yet
    asking,   // a question is under way
    tried,    // there is something to use, or it is known why not
  };
  State state = State::untried;
  std::string stamp;                        // of a file: what tells that it changed
  std::shared_ptr<const std::string> text;  // the last good content
  uint64_t version = 0;                     // of the text; 0: there is none yet
  std::string complaint;                    // about what came last; empty: it is good
  bool answers_nonsense = false;  // the complaint is about what was said, not about silence
  uint64_t ticket = 0;            // of the question that is under way
  Clock::time_point asked_at{};
  Clock::time_point due_at{};
  KeySourceCounters counters;
};

}  // namespace sluice::gateway
