// Opens a file without waiting, checks who may read and write it, and reads it.
#include "config/guarded_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace sluice::config {

namespace {

constexpr size_t part_bytes = 64 * 1024;

struct Descriptor {
  int number = -1;
  explicit Descriptor(const std::string& path)
      : number(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

// Not the time of the last change of its names: a file that is replaced is still whole.
std::string stamp_of(const struct stat& info) {
  return std::to_string(info.st_dev) + "." + std::to_string(info.st_ino) + "." +
         std::to_string(info.st_size) + "." + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec);
}

std::string octal(mode_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777));
  return text.data();
}

// Landlock refuses to open what access(2) allows.
std::string why_not(const std::string& path, int failure) {
  if (failure == ENOENT || failure == ENOTDIR) return "there is no such file";
  if (failure != EACCES && failure != EPERM) return std::strerror(failure);
  if (::access(path.c_str(), R_OK) == 0) {
    return "the sandbox keeps it closed, because no folder that the configuration named at start "
           "holds it; start anew, or write sandbox: off";
  }
  return "the user " + std::to_string(::geteuid()) + " that this process runs as has no permission";
}

std::optional<std::string> exposure(const std::string& path, mode_t mode) {
  if ((mode & S_IROTH) == 0) return std::nullopt;
  return "everybody may read " + path + " (mode " + octal(mode) +
         "), and a secret is not safe there: chmod o-r " + path +
         ", in Kubernetes defaultMode: 0400 of the volume, in Docker mode: 0400 of the secret";
}

// Who else than its owner may write it, and so decide who gets in. A user's own group has the same
// number: nobody is asked for names here, for that may take time, and the sandbox may be closed.
std::optional<std::string> others_may_write(const std::string& path, const struct stat& info) {
  if ((info.st_mode & S_IWOTH) != 0) {
    return "everybody may write this file (mode " + octal(info.st_mode) +
           ") and so decide who gets in: chmod o-w " + path;
  }
  if ((info.st_mode & S_IWGRP) != 0 && info.st_gid != info.st_uid) {
    return "the group " + std::to_string(info.st_gid) + " may write this file of the user " +
           std::to_string(info.st_uid) + " (mode " + octal(info.st_mode) +
           ") and so decide who gets in: chmod g-w " + path;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> exposure_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? exposure(path, info.st_mode) : std::nullopt;
}

FileReading read_file_by_parts(const std::string& path, size_t most, FileHolds holds,
                               const std::function<void(std::string_view part)>& take) {
  FileReading reading;
  const auto complain = [&](const std::string& why) {
    reading.complaint = why;
    return reading;
  };
  const Descriptor file{path};
  if (file.number < 0) return complain("this file can't be read: " + why_not(path, errno));
  struct stat before {};
  if (::fstat(file.number, &before) != 0 || !S_ISREG(before.st_mode))
    return complain("this file can't be read: it is no plain file");
  if (holds != FileHolds::anything) {
    if (const auto why = others_may_write(path, before)) return complain(*why);
  }
  if (holds == FileHolds::secrets) reading.warning = exposure(path, before.st_mode).value_or("");
  std::vector<char> part(part_bytes);
  size_t total = 0;
  for (;;) {
    const ssize_t count = ::read(file.number, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return complain(std::string{"this file can't be read: "} + std::strerror(errno));
    if (count == 0) break;
    total += static_cast<size_t>(count);
    if (total > most) return complain("larger than " + std::to_string(most) + " bytes");
    take({part.data(), static_cast<size_t>(count)});
  }
  struct stat after {};
  if (::fstat(file.number, &after) != 0 || stamp_of(after) != stamp_of(before) ||
      static_cast<size_t>(after.st_size) != total)
    return complain("this file changes while it is read");
  reading.stamp = stamp_of(before);
  return reading;
}

WholeFile read_guarded_file(const std::string& path, size_t most, FileHolds holds) {
  WholeFile file;
  static_cast<FileReading&>(file) =
      read_file_by_parts(path, most, holds, [&](std::string_view part) { file.text += part; });
  if (!file.complaint.empty()) file.text.clear();
  return file;
}

}  // namespace sluice::config
