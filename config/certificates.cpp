// Certificates, keys and authorities out of their files.
#include <openssl/x509.h>

#include <array>
#include <chrono>
#include <cstdlib>

#include "config/config.h"
#include "config/environment.h"
#include "config/guarded_file.h"
#include "config/tls_parts.h"
#include "tls/self_signed.h"

namespace sluice::config {

namespace {

core::WallTime wall_now() {
  return core::WallTime{std::chrono::system_clock::now().time_since_epoch()};
}

// What is wrong in each file, or the certificate.
tls::CertificateReading read_files(const CertificatePaths& paths) {
  tls::CertificateFiles files{
      .chain_path = paths.chain, .key_path = paths.key, .ocsp_path = paths.ocsp};
  tls::CertificateReading failed;
  std::vector<std::string> warnings;
  const auto read = [&](const std::string& path, FileHolds holds, std::string& into) {
    WholeFile file = read_guarded_file(path, tls_file_bytes_max, holds);
    if (!file.complaint.empty()) failed.complaints.push_back(path + ": " + file.complaint);
    if (!file.warning.empty()) warnings.push_back(file.warning);
    into = std::move(file.text);
  };
  read(paths.chain, FileHolds::trust, files.chain);
  read(paths.key, FileHolds::secrets, files.key);
  if (!paths.ocsp.empty()) read(paths.ocsp, FileHolds::trust, files.ocsp);
  if (!failed.complaints.empty()) return failed;
  tls::CertificateReading reading = tls::read_certificate(std::move(files), wall_now());
  reading.warnings.insert(reading.warnings.begin(), warnings.begin(), warnings.end());
  return reading;
}

tls::SharedCertificate stand_in() {
  const std::vector<std::string> names{"localhost"};
  const auto made = tls::make_self_signed(names, std::chrono::hours{24 * 30});
  if (!made) return nullptr;
  return tls::read_certificate({"stand-in", made->chain, "stand-in", made->key, "", ""}, wall_now())
      .certificate;
}

}  // namespace

std::optional<std::string> read_trust_file(Document& document, const YAML::Node& at,
                                           const std::string& path) {
  document.note_file(path);
  WholeFile file = read_guarded_file(path, tls_file_bytes_max, FileHolds::trust);
  if (file.complaint.empty()) return std::move(file.text);
  document.complain(at, path + ": " + file.complaint);
  return std::nullopt;
}

tls::SharedCertificate read_certificate_entry(Document& document, const YAML::Node& node,
                                              CertificatePaths& paths) {
  const Section section{document, node, "a certificate", {"chain", "key", "ocsp"}};
  const auto path = [](const std::string& text) -> Parsed<std::string> { return text; };
  section.read("chain", paths.chain, "a path", path);
  section.read("key", paths.key, "a path", path);
  section.read("ocsp", paths.ocsp, "a path", path);
  if (paths.chain.empty() || paths.key.empty()) {
    document.complain(node,
                      "a certificate needs chain and key; write for example "
                      "{ chain: /etc/sluice/api.pem, key: /etc/sluice/api.key }");
    return nullptr;
  }
  for (const std::string* file : {&paths.chain, &paths.key, &paths.ocsp}) {
    if (!file->empty()) document.note_file(*file);
  }
  tls::CertificateReading reading = read_files(paths);
  if (reading.certificate == nullptr && stand_in_for_secret()) return stand_in();
  for (const std::string& complaint : reading.complaints) document.complain(node, complaint);
  for (const std::string& warning : reading.warnings) document.warn_always(node, warning);
  return reading.certificate;
}

std::optional<SystemTrust> read_system_trust() {
  std::vector<std::string> places;
  if (const char* named = std::getenv(X509_get_default_cert_file_env())) places.emplace_back(named);
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"})
    places.emplace_back(path);
  for (const std::string& path : places) {
    WholeFile file = read_guarded_file(path, tls_file_bytes_max, FileHolds::trust);
    if (file.complaint.empty()) return SystemTrust{path, std::move(file.text)};
  }
  return std::nullopt;
}

std::vector<std::string> tls_files(const Config& config) {
  std::vector<std::string> files;
  const auto add = [&](const std::string& path) {
    if (!path.empty()) files.push_back(path);
  };
  const auto add_certificate = [&](const CertificatePaths& paths) {
    add(paths.chain);
    add(paths.key);
    add(paths.ocsp);
  };
  for (const ListenerConfig& listener : config.listeners) {
    if (listener.tls == nullptr) continue;
    for (const CertificatePaths& paths : listener.tls->paths) add_certificate(paths);
    add(listener.tls->client_ca_path);
    add(listener.tls->client_revoked_path);
  }
  for (const UpstreamConfig& upstream : config.upstreams) {
    if (upstream.tls == nullptr) continue;
    add(upstream.tls->ca_path);
    add_certificate(upstream.tls->certificate);
  }
  return files;
}

namespace {

tls::SharedCertificate read_again(const CertificatePaths& paths, TlsReading& outcome) {
  tls::CertificateReading reading = read_files(paths);
  const auto append = [](std::vector<std::string>& to, const std::vector<std::string>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(outcome.complaints, reading.complaints);
  append(outcome.warnings, reading.warnings);
  return reading.certificate;
}

void read_text_again(const std::string& path, std::string& text, TlsReading& outcome) {
  if (path.empty()) return;
  WholeFile file = read_guarded_file(path, tls_file_bytes_max, FileHolds::trust);
  if (!file.complaint.empty()) outcome.complaints.push_back(path + ": " + file.complaint);
  text = std::move(file.text);
}

}  // namespace

TlsReading read_tls_files_again(Config& config) {
  TlsReading outcome;
  std::vector<std::shared_ptr<const ListenerTls>> listeners;
  std::vector<std::shared_ptr<const UpstreamTls>> upstreams;
  for (const ListenerConfig& listener : config.listeners) {
    auto fresh = listener.tls == nullptr ? nullptr : std::make_shared<ListenerTls>(*listener.tls);
    for (size_t i = 0; fresh != nullptr && i < fresh->paths.size(); ++i)
      fresh->options.certificates[i] = read_again(fresh->paths[i], outcome);
    if (fresh != nullptr) {
      read_text_again(fresh->client_ca_path, fresh->options.client_ca, outcome);
      read_text_again(fresh->client_revoked_path, fresh->options.client_revoked, outcome);
    }
    listeners.push_back(std::move(fresh));
  }
  for (const UpstreamConfig& upstream : config.upstreams) {
    auto fresh = upstream.tls == nullptr ? nullptr : std::make_shared<UpstreamTls>(*upstream.tls);
    if (fresh != nullptr && fresh->options.certificate != nullptr)
      fresh->options.certificate = read_again(fresh->certificate, outcome);
    if (fresh != nullptr) read_text_again(fresh->ca_path, fresh->options.ca, outcome);
    upstreams.push_back(std::move(fresh));
  }
  if (!outcome.complaints.empty()) return outcome;
  for (size_t i = 0; i < listeners.size(); ++i) config.listeners[i].tls = listeners[i];
  for (size_t i = 0; i < upstreams.size(); ++i) config.upstreams[i].tls = upstreams[i];
  return outcome;
}

}  // namespace sluice::config
