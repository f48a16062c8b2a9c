// Looks at the stamps of the configuration's files.
#include "gateway/file_watch.h"

#include "gateway/file_stamp.h"

namespace sluice::gateway {

void FileWatch::watch(const std::vector<std::string>& files) {
  stamps_.clear();
  for (const std::string& file : files) stamps_[file] = file_stamp(file);
}

bool FileWatch::have_changed() {
  bool changed = false;
  for (auto& [file, stamp] : stamps_) {
    std::string now = file_stamp(file);
    changed |= now != stamp;
    stamp = std::move(now);
  }
  return changed;
}

}  // namespace sluice::gateway
