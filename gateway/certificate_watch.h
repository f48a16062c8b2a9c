// Certificates at work: whether their files have changed, and which are about to expire. The
// control thread's.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "core/clock.h"
#include "gateway/file_watch.h"

namespace sluice::gateway {

class CertificateWatch {
 public:
  // From now on those of this configuration, as their files are now.
  void watch(const config::Config& config);
  // The files, since the last watch(); said once.
  [[nodiscard]] bool have_changed() { return files_.have_changed(); }
  // Of those that have 14 days or less, or none: once a day. The first time a day after watch(),
  // for whoever read the configuration has said it.
  [[nodiscard]] std::vector<std::string> warnings(core::WallTime now);

 private:
  FileWatch files_;
  std::vector<tls::SharedCertificate> certificates_;
  core::WallTime next_{};
};

}  // namespace sluice::gateway
