// What the configuration says of TLS: what listeners show, and whom upstreams believe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tls/client_context.h"
#include "tls/server_context.h"

namespace sluice::config {

// Where a certificate came from, to be read again when a file changes.
struct CertificatePaths {
  std::string chain, key, ocsp;
};

// Of a listener. Immutable; copies of the listener share it.
struct ListenerTls {
  tls::ServerOptions options;
  std::vector<CertificatePaths> paths;  // of options.certificates, in their order
  std::string client_ca_path, client_revoked_path;
};

// Of an upstream whose endpoints are https://. Immutable, as above.
struct UpstreamTls {
  tls::ClientOptions options;
  std::string name;     // asked for and verified in place of the endpoint's host; empty: that one
  std::string ca_path;  // of options.ca
  CertificatePaths certificate;  // of options.certificate, if there is one
};

inline constexpr size_t tls_file_bytes_max = 1 << 20;

// Files of certificates, keys, authorities and revocation lists that the configuration names.
struct Config;
[[nodiscard]] std::vector<std::string> tls_files(const Config& config);

// The certificates of `config` read again from where they came. Nothing is changed unless all of
// them are good; each complaint names its file.
struct TlsReading {
  std::vector<std::string> complaints, warnings;
};
[[nodiscard]] TlsReading read_tls_files_again(Config& config);

}  // namespace sluice::config
