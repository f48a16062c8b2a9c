// Any bytes as a request target, in each form: normal once is normal for ever, nothing climbs above
// the root, and a second reader finds the same.
#include <cstdint>
#include <string>

#include "http/uri.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/strict.h"

using namespace sluice::http;
using sluice::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 8192) return 0;
  const std::string given{reinterpret_cast<const char*>(data), size};
  std::string text = given;
  const Target target = normalize_target(Method::get, text.data(), text.size());
  std::string authority;
  const auto theirs = sluice::strict::normal_target("GET", given, authority);
  require((target.rule == Rule::none) == theirs.has_value(),
          theirs ? "refused, and should not be" : "taken, and should not be");
  if (!theirs) return 0;
  require(target.text == *theirs && target.authority == authority, "another target");
  require(target.path.starts_with('/') && target.path.size() <= target.text.size(), "no path");
  require(target.path.find("/../") == std::string_view::npos && !target.path.ends_with("/.."),
          "it climbs");
  require(target.path.find("/./") == std::string_view::npos && !target.path.ends_with("/."),
          "it stands still");
  std::string once{target.text};
  std::string twice = once;
  const Target again = normalize_target(Method::get, twice.data(), twice.size());
  require(again.rule == Rule::none && again.text == once, "not normal yet");
  return 0;
}
