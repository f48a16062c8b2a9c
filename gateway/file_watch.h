// Whether files are other than they were: by what stat(2) says of them. Folders count as files:
// what comes into them, or goes.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sluice::gateway {

class FileWatch {
 public:
  // From now on these, as they are now.
  void watch(const std::vector<std::string>& files);
  // Since the last watch(); said once.
  [[nodiscard]] bool have_changed();

 private:
  std::map<std::string, std::string> stamps_;
};

}  // namespace sluice::gateway
