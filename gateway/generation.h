// A configuration at work, and how one follows another while requests are served.
//
//   Registry    what outlives configurations: the numbers of names and limits, upstreams and
//   endpoints. One per process. Generation  one configuration with what belongs to it alone: its
//   keys, and a CoreGeneration for each core.
//
// Made, published and freed by the control thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/route_table.h"
#include "gateway/endpoint.h"
#include "proxy/core_generation.h"
#include "proxy/labels.h"
#include "tls/library.h"

namespace sluice::gateway {

inline constexpr size_t generations_max = 8;  // alive at once; a reload beyond that is refused

// How long a certificate of the configuration at work holds.
struct CertificateNote {
  std::string name, key;  // "api.example", "ECDSA"
  uint64_t not_after_s = 0;
};

class Registry {
 public:
  explicit Registry(uint32_t workers) : workers_(workers) {}
  [[nodiscard]] uint32_t workers() const { return workers_; }
  [[nodiscard]] proxy::Labels& labels() { return labels_; }

  // Those that have this identity; made if there are none. `tls` of an endpoint with https;
  // `complaint` says what OpenSSL will not have.
  [[nodiscard]] std::shared_ptr<Upstream> upstream(const std::string& name);
  [[nodiscard]] std::shared_ptr<Endpoint> endpoint(const std::shared_ptr<Upstream>& of,
                                                   const config::EndpointConfig& config,
                                                   std::shared_ptr<const config::UpstreamTls> tls,
                                                   std::optional<std::string>& complaint);
  // OpenSSL of a worker, made when the first configuration speaks TLS.
  [[nodiscard]] tls::Library& library(uint32_t worker);
  void note_certificates(const config::Config& config);
  [[nodiscard]] std::vector<CertificateNote> certificates() const;
  // Frees what no generation names any more and no core has a connection to.
  void sweep();

  // Any thread but the cores': all of them as they are now.
  template <typename Visit>
  void for_each_upstream(Visit&& visit) const {
    const std::lock_guard lock{mutex_};
    for (const auto& [name, record] : upstreams_) visit(*record);
  }
  template <typename Visit>
  void for_each_endpoint(Visit&& visit) const {
    const std::lock_guard lock{mutex_};
    for (const auto& [name, record] : endpoints_) visit(*record);
  }

 private:
  mutable std::mutex
      mutex_;  // between the control thread and those that render metrics; no core takes it
  uint32_t workers_;
  std::vector<std::unique_ptr<tls::Library>> libraries_;
  std::vector<CertificateNote> certificates_;
  proxy::Labels labels_;
  std::map<std::string, std::shared_ptr<Upstream>> upstreams_;  // by name
  std::map<std::string, std::shared_ptr<Endpoint>>
      endpoints_;  // by upstream, authority and address
};

// Where a generation's keys come from.
struct GenerationKeys {
  const auth::KeySnapshot& first;
  proxy::KeyWish* wish = nullptr;
};

class Generation {
 public:
  // `config` is complete. `counters` are one a worker.
  Generation(Registry& registry, config::Config config, uint64_t seed);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // After the keys are there: what the workers get. `counters` are one a worker and outlive the
  // generation.
  void make_cores(const GenerationKeys& keys, std::span<auth::AuthCounters* const> counters);

  [[nodiscard]] const config::Config& config() const { return config_; }
  [[nodiscard]] config::Config& config() { return config_; }
  [[nodiscard]] proxy::CoreGeneration& core(uint32_t worker) { return *cores_[worker]; }
  // Those that have an address; a name may have none yet.
  [[nodiscard]] const std::vector<std::shared_ptr<Endpoint>>& endpoints(size_t upstream) const {
    return endpoints_[upstream];
  }
  // The bounds that all configurations of an upstream share become this one's.
  void take_effect();
  // Why it can't be used: there is no room for its limits, or OpenSSL will not have its
  // certificates.
  [[nodiscard]] const std::optional<std::string>& complaint() const { return complaint_; }
  [[nodiscard]] bool is_released() const;
  [[nodiscard]] bool has_acknowledged_keys(uint64_t sequence) const;

 private:
  Registry& registry_;
  using Servers = std::vector<std::unique_ptr<tls::ServerContext>>;
  void make_servers(Registry& registry);

  config::Config config_;
  config::RouteTable routes_;
  uint64_t seed_;
  std::vector<Servers> servers_;  // of each worker, until its core has them
  std::optional<std::string> complaint_;
  std::vector<std::shared_ptr<Upstream>> upstreams_;  // by their place in the configuration
  std::vector<std::vector<std::shared_ptr<Endpoint>>> endpoints_;  // of each, by place
  std::vector<std::unique_ptr<proxy::CoreGeneration>> cores_;
};

}  // namespace sluice::gateway
