// What the readers of TLS sections have in common.
#pragma once

#include <optional>
#include <string>

#include "config/document.h"
#include "config/tls.h"

namespace sluice::config {

// A file that decides whom to believe; a complaint at `at` if it can't be read.
[[nodiscard]] std::optional<std::string> read_trust_file(Document& document, const YAML::Node& at,
                                                         const std::string& path);

// { chain: PATH, key: PATH, ocsp: PATH }, read and judged; nothing after a complaint.
[[nodiscard]] tls::SharedCertificate read_certificate_entry(Document& document,
                                                            const YAML::Node& node,
                                                            CertificatePaths& paths);

// The bundle of the system, and where it is; nothing if there is none.
struct SystemTrust {
  std::string path, pem;
};
[[nodiscard]] std::optional<SystemTrust> read_system_trust();

}  // namespace sluice::config
