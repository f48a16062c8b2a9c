// Takes the stamp of a file and compares it.
#include "gateway/file_stamp.h"

#include <sys/stat.h>

namespace sluice::gateway {

std::string file_stamp(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return std::to_string(info.st_ino) + "." + std::to_string(info.st_size) + "." +
         std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + "." +
         std::to_string(info.st_mode) + "." + std::to_string(info.st_uid) + "." +
         std::to_string(info.st_gid);
}

}  // namespace sluice::gateway
