#include "gateway/plain_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::gateway {

namespace {

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

}  // namespace

std::optional<std::string> read_plain_file(const std::string& path, size_t bytes_max,
                                           std::string& why) {
  const int file = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) {
    why = why_not(path, errno);
    return std::nullopt;
  }
  struct stat info {};
  std::optional<std::string> text;
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    why = "it is no plain file";
  } else {
    text.emplace();
    std::array<char, 16384> piece;
    ssize_t size = 0;
    while ((size = ::read(file, piece.data(), piece.size())) > 0 && text->size() <= bytes_max)
      text->append(piece.data(), static_cast<size_t>(size));
    if (size < 0) why = std::strerror(errno);
    if (text->size() > bytes_max) why = "it has more than " + std::to_string(bytes_max) + " bytes";
    if (size < 0 || text->size() > bytes_max) text.reset();
  }
  ::close(file);
  return text;
}

}  // namespace sluice::gateway
