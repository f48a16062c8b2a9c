// Paths (RFC 3986 3.3). They are brought to a normal form when they are read, and routes are
// matched by what every usual endpoint understands of them: some merge slashes, some decode what is
// encoded, some cut off what follows a ';'.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/limits.h"
#include "http/rule.h"

namespace sluice::http {

struct RequestHead;

// Whether a path is understood in one way only as it stands.
enum class PathForm : uint8_t {
  plain,
  special,  // has percent-encodings, parameters, runs of slashes, or bytes that some would encode
};

struct PathOutcome {
  Rule rule = Rule::none;
  size_t size = 0;
  PathForm form = PathForm::plain;
  bool has_encoded_separator = false;  // %2F or %5C
};

// In place, never longer; the path begins with '/'.
//  - percent-encodings are checked, %00 and overlong UTF-8 refused, unreserved characters decoded,
//    hex digits made upper case;
//  - dot segments are removed. Those that climb above the root, that have parameters ("..;x") or
//  that
//    %2F or %5C separate are refused;
//  - runs of slashes stay: merge_slashes() is for the one who knows the route. A ".." takes away a
//    whole segment, however many slashes follow that.
[[nodiscard]] PathOutcome normalize_path(char* begin, size_t size);

// What routes are matched by: runs of slashes are one; a byte that may stand in a segment (RFC 3986
// 3.3: pchar) is decoded, any other one encoded. `memory` holds matched_path_max bytes.
inline constexpr size_t matched_path_max = size_t{3} * core::limits::target_bytes_max;
[[nodiscard]] std::string_view matched_path(std::string_view path, std::span<char> memory);
// Of such a path, in its memory: without the parameters of segments, as servlet containers see it.
[[nodiscard]] std::string_view cut_parameters(std::string_view path, std::span<char> memory);

// Makes runs of slashes one in what is forwarded. `bytes` is the memory that the head points into.
void merge_slashes(RequestHead& head, char* bytes);

// Without the first segments, as many as `prefix` has: "/a//b/c" without "/x/y" is "/c".
[[nodiscard]] std::string_view drop_segments_of(std::string_view prefix, std::string_view path);

}  // namespace sluice::http
