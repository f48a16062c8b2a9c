// Looks after certificates at work.
#include "gateway/certificate_watch.h"

namespace sluice::gateway {

namespace {

constexpr auto day = std::chrono::hours{24};

}  // namespace

void CertificateWatch::watch(const config::Config& config) {
  files_.watch(config::tls_files(config));
  certificates_.clear();
  for (const config::ListenerConfig& listener : config.listeners) {
    if (listener.tls == nullptr) continue;
    const auto& all = listener.tls->options.certificates;
    certificates_.insert(certificates_.end(), all.begin(), all.end());
  }
  for (const config::UpstreamConfig& upstream : config.upstreams) {
    if (upstream.tls != nullptr && upstream.tls->options.certificate != nullptr)
      certificates_.push_back(upstream.tls->options.certificate);
  }
  next_ = {};
}

std::vector<std::string> CertificateWatch::warnings(core::WallTime now) {
  std::vector<std::string> all;
  if (next_ == core::WallTime{}) next_ = now + day;
  if (now < next_) return all;
  next_ = now + day;
  for (const tls::SharedCertificate& certificate : certificates_) {
    const auto left = certificate->not_after() - now;
    if (left > tls::expiry_warning) continue;
    const auto days = std::chrono::duration_cast<std::chrono::hours>(left).count() / 24;
    all.push_back("warning: the certificate of " + certificate->title() +
                  (left <= core::Duration{0} ? " has expired"
                                             : " expires in " + std::to_string(days) + " days") +
                  "; renew it");
  }
  return all;
}

}  // namespace sluice::gateway
