#include "cli/file_watch.h"

#include <sys/stat.h>

namespace sluice::cli {

namespace {

// Differs when the file was changed or replaced; empty if there is none.
std::string stamp_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return std::to_string(info.st_ino) + "." + std::to_string(info.st_size) + "." + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec);
}

}  // namespace

void FileWatch::watch(const std::vector<std::string>& files) {
  stamps_.clear();
  for (const std::string& file : files) stamps_[file] = stamp_of(file);
}

bool FileWatch::have_changed() {
  bool changed = false;
  for (auto& [file, stamp] : stamps_) {
    std::string now = stamp_of(file);
    changed |= now != stamp;
    stamp = std::move(now);
  }
  return changed;
}

}  // namespace sluice::cli
