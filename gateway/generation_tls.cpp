// What a configuration needs of OpenSSL, for each core: contexts of listeners and endpoints, in a
// library of the core's own, so that cores share none of OpenSSL's locks.
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/fresh_secret.h"
#include "gateway/generation.h"

namespace sluice::gateway {

namespace {

// What a session with the endpoint depends on, beside where it is.
std::string identity_of(const config::UpstreamTls& tls) {
  const std::string whole =
      tls.options.ca + "\n" +
      (tls.options.certificate == nullptr ? "" : tls.options.certificate->fingerprint());
  return " " + tls.name + " " + std::to_string(static_cast<int>(tls.options.verification)) + " " +
         std::to_string(XXH3_64bits(whole.data(), whole.size()));
}

std::unique_ptr<proxy::EndpointTls> secured(tls::Library& library,
                                            const config::EndpointConfig& config,
                                            const config::UpstreamTls& tls,
                                            std::string& complaint) {
  auto made = std::make_unique<proxy::EndpointTls>();
  made->context = tls::ClientContext::make(library, tls.options, complaint);
  if (made->context == nullptr) return nullptr;
  made->name = tls.name.empty() ? config.host : tls.name;
  made->is_address = made->name.empty();
  if (made->is_address) {
    std::array<char, core::SocketAddress::address_text_max> text;
    made->name.assign(text.data(), config.destination.address().format_address(text.data()));
  }
  return made;
}

}  // namespace

tls::Library& Registry::library(uint32_t worker) {
  if (libraries_.empty()) {
    const core::WallTime now{std::chrono::system_clock::now().time_since_epoch()};
    const tls::TicketSeed seed =
        tls::TicketKeys::seed(core::fresh_secret<std::array<uint8_t, 32>>(), now);
    for (uint32_t index = 0; index < workers_; ++index)
      libraries_.push_back(std::make_unique<tls::Library>(seed));
  }
  return *libraries_[worker];
}

std::shared_ptr<Endpoint> Registry::endpoint(const std::shared_ptr<Upstream>& of,
                                             const config::EndpointConfig& config,
                                             std::shared_ptr<const config::UpstreamTls> tls,
                                             std::optional<std::string>& complaint) {
  const std::lock_guard lock{mutex_};
  const std::string text = config.destination.text();
  const bool is_encrypted = config.scheme == config::Scheme::https;
  // One that is believed on other terms is another endpoint, with connections of its own.
  const std::string identity =
      of->name + " " + config.authority + " " + text + (is_encrypted ? identity_of(*tls) : "");
  if (const auto known = endpoints_.find(identity); known != endpoints_.end()) return known->second;
  const std::string label = config.authority == text || config.destination.is_unix()
                                ? text
                                : config.authority + " " + text;
  auto record = std::make_shared<Endpoint>(of, config, labels_.endpoints.number_of(label));
  for (uint32_t worker = 0; is_encrypted && worker < workers_; ++worker) {
    std::string why;
    auto made = secured(library(worker), config, *tls, why);
    if (made == nullptr) {
      complaint = config.place + "tls: " + why;
      return record;  // of a generation that is refused
    }
    record->tls_name = made->name;
    record->cores[worker]->set_tls(std::move(made));
  }
  if (is_encrypted) record->tls = std::move(tls);
  endpoints_.emplace(identity, record);
  return record;
}

void Registry::note_certificates(const config::Config& config) {
  std::vector<CertificateNote> notes;
  const auto add = [&](const tls::SharedCertificate& certificate) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(certificate->not_after());
    const auto number = static_cast<uint64_t>(seconds.time_since_epoch().count());
    const std::string key{tls::to_string(certificate->key_type())};
    const auto is_same = [&](const CertificateNote& one) {
      return one.name == certificate->title() && one.key == key;
    };
    // Of one name and kind the first to end.
    const auto known = std::find_if(notes.begin(), notes.end(), is_same);
    if (known == notes.end())
      notes.push_back({certificate->title(), key, number});
    else
      known->not_after_s = std::min(known->not_after_s, number);
  };
  for (const config::ListenerConfig& listener : config.listeners) {
    if (listener.tls == nullptr) continue;
    for (const auto& certificate : listener.tls->options.certificates) add(certificate);
  }
  for (const config::UpstreamConfig& upstream : config.upstreams) {
    if (upstream.tls != nullptr && upstream.tls->options.certificate != nullptr)
      add(upstream.tls->options.certificate);
  }
  const std::lock_guard lock{mutex_};
  certificates_ = std::move(notes);
}

std::vector<CertificateNote> Registry::certificates() const {
  const std::lock_guard lock{mutex_};
  return certificates_;
}

void Generation::make_servers(Registry& registry) {
  const auto speaks_tls = [](const config::ListenerConfig& one) { return one.tls != nullptr; };
  if (std::none_of(config_.listeners.begin(), config_.listeners.end(), speaks_tls)) return;
  for (uint32_t worker = 0; worker < registry.workers(); ++worker) {
    Servers& servers = servers_.emplace_back();
    for (const config::ListenerConfig& listener : config_.listeners) {
      servers.emplace_back();
      if (listener.tls == nullptr) continue;
      std::string why;
      servers.back() =
          tls::ServerContext::make(registry.library(worker), listener.tls->options, why);
      if (servers.back() == nullptr)
        complaint_ = "listen " + listener.address.text() + ": tls: " + why;
    }
  }
}

}  // namespace sluice::gateway
