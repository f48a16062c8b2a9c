// The sums, from the sizes of what each core and the gateway take at start.
#include "gateway/footprint.h"

#include <algorithm>

#include "auth/token_cache.h"
#include "core/buffer_pool.h"
#include "core/limits.h"
#include "http/h2/memory.h"
#include "limiter/shard.h"
#include "proxy/worker.h"

namespace sluice::gateway {

namespace {

// What sessions take on a core, where anybody speaks TLS: OpenSSL's memory as well.
uint64_t tls_bytes(const config::Config& config) {
  const bool listens = std::any_of(config.listeners.begin(), config.listeners.end(),
                                   [](const auto& one) { return one.tls != nullptr; });
  const bool calls = std::any_of(config.upstreams.begin(), config.upstreams.end(),
                                 [](const auto& one) { return one.tls != nullptr; });
  if (!listens && !calls) return 0;
  const config::Bounds& bounds = config.bounds;
  const uint64_t sessions =
      (listens ? bounds.connections : 0) + uint64_t{calls ? bounds.upstream_connections : 0};
  return sessions * (tls::session_bytes_max + sizeof(proxy::ChannelTls)) +
         uint64_t{bounds.handshakes()} * tls::session_handshake_bytes_max +
         core::BufferPool::size_bytes(bounds.sealed_buffers());
}

}  // namespace

uint64_t memory_bound_bytes(const config::Config& config) {
  const config::Bounds& bounds = config.bounds;
  const uint64_t each = core::BufferPool::size_bytes(bounds.request_buffers()) +
                        core::BufferPool::size_bytes(bounds.exchanges) +
                        uint64_t{bounds.connections} * sizeof(proxy::DownstreamConnection) +
                        proxy::ShareTable::size_bytes(bounds.connections) +
                        uint64_t{bounds.request_buffers()} * sizeof(proxy::Exchange) +
                        uint64_t{bounds.upstream_connections} * sizeof(proxy::UpstreamConnection) +
                        auth::TokenCache::size_bytes(bounds.token_cache_entries +
                                                     auth::AuthenticatorOptions{}.refused_entries) +
                        limiter::Shard::size_bytes(proxy::failing_addresses_max) +
                        bounds.http2_memory_bytes + http::h2::Memory::reserve_bytes +
                        bounds.log_ring_bytes + uint64_t{bounds.pipes} * core::limits::pipe_bytes;
  return (each + tls_bytes(config)) * config.cores.size() +
         limiter::Shard::size_bytes(bounds.limiter_keys * 11 / 10);
}

uint64_t socket_memory_bound_bytes(const config::Config& config, uint64_t system_bytes) {
  constexpr uint64_t directions = 2;
  const config::Bounds& bounds = config.bounds;
  const uint64_t each =
      directions * (uint64_t{bounds.connections} * bounds.socket_buffer_bytes +
                    uint64_t{bounds.upstream_connections} * core::limits::socket_buffer_bytes);
  const uint64_t all = each * config.cores.size();
  const bool is_bounded = bounds.socket_buffer_bytes != 0;
  if (system_bytes == 0) return is_bounded ? all : 0;
  return is_bounded ? std::min(all, system_bytes) : system_bytes;
}

// Two for each proxied request, two for each pipe, and some for the process itself.
uint64_t descriptors_wanted(const config::Config& config) {
  constexpr uint64_t own = 64;
  constexpr uint64_t of_each_worker = 8;
  return config.cores.size() *
             (uint64_t{config.bounds.connections} + config.bounds.upstream_connections +
              2 * uint64_t{config.bounds.pipes} + of_each_worker) +
         own;
}

}  // namespace sluice::gateway
