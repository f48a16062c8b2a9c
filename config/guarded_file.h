// Files that decide who gets in: secrets, keys, revocations. Read whole or by parts, never waited
// for: a pipe, a device or a folder is refused. Whoever may write such a file makes himself
// anybody, so that others may not; whoever may read a secret has it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::config {

enum class FileHolds : uint8_t {
  anything,  // whoever may write or read it
  trust,     // others may not write it, nor a group that is not its owner's own
  secrets,   // the same, and others should not read it
};

struct FileReading {
  std::string complaint;  // not empty: it was not read
  std::string warning;    // others may read a secret; it names the remedy
  std::string stamp;      // tells that the file changes, as it was before and after
};

// Calls `take` with the bytes in turn, at most `most` of them. A file that changes meanwhile is a
// complaint.
[[nodiscard]] FileReading read_file_by_parts(
    const std::string& path, size_t most, FileHolds holds,
    const std::function<void(std::string_view part)>& take);

struct WholeFile : FileReading {
  std::string text;
};
[[nodiscard]] WholeFile read_guarded_file(const std::string& path, size_t most, FileHolds holds);

// "everybody may read PATH ...": what is wrong with secrets of these permissions; for a set of keys
// that turns out to hold some.
[[nodiscard]] std::optional<std::string> exposure_of(const std::string& path);

}  // namespace sluice::config
