// Where keys come from, and what is known of each place: a file, or a URL with whom to believe
// about it. A source is known by what it is, whatever configurations name it, so that a new
// configuration begins with what the one before had.
#pragma once

#include <chrono>
#include <compare>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "auth/revocations.h"
#include "core/counter.h"

namespace sluice::gateway {

enum class KeySourceKind : uint8_t {
  key_set_file,
  key_set_url,
  discovery,  // an OpenID configuration, which names a key_set_url
  api_keys_file,
  passwords_file,
  revocations_file,
};

struct KeySourceId {
  KeySourceKind kind;
  std::string name;         // a path or a URL
  std::string authorities;  // of a URL: a PEM file, or empty for the system's
  std::string bearer_file;  // of a URL: what it is asked with; empty: nothing
  auto operator<=>(const KeySourceId&) const = default;
  [[nodiscard]] bool is_url() const {
    return kind == KeySourceKind::key_set_url || kind == KeySourceKind::discovery;
  }
  // For people and metrics: a URL without user, password and query, which may be secrets.
  [[nodiscard]] std::string label() const;
};

// What a source gave; immutable.
struct KeyContent {
  std::string text;               // of revocations nothing: they are many
  auth::Revocations revocations;  // of revocations
  std::string exposure;           // not empty: everybody may read the file; it names the remedy
  bool operator==(const KeyContent& other) const {
    return text == other.text && exposure == other.exposure;
  }
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
  std::string stamp;  // of a file: what tells that it changed
  std::string seen;   // of a file that changes: the stamp that is to stay the same for a while
  Clock::time_point seen_at{};
  std::shared_ptr<const KeyContent> content;  // the last good one
  uint64_t version = 0;                       // of the content; 0: there is none yet
  std::string complaint;                      // about what came last; empty: it is good
  bool answers_nonsense = false;  // the complaint is about what was said, not about silence
  uint64_t ticket = 0;            // of the question that is under way
  Clock::time_point asked_at{};
  Clock::time_point due_at{};
  // What was said of a content that is in use all the same, by the name of the auth: entry.
  std::map<std::string, std::vector<std::string>> remarks;
  KeySourceCounters counters;
};

}  // namespace sluice::gateway
