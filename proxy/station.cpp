// The services of a core that need no machine.
#include "proxy/station.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "metrics/log_writer.h"

namespace sluice::proxy {

namespace {

// Eight hex digits at once: each nibble gets a byte of its own, and 'a' - '0' - 10 more where it is
// above 9.
void put_hex_half(char* out, uint64_t value) {
  value = (value | value << 16) & 0x0000ffff0000ffff;
  value = (value | value << 8) & 0x00ff00ff00ff00ff;
  value = (value | value << 4) & 0x0f0f0f0f0f0f0f0f;
  const uint64_t above_nine = (value + 0x0606060606060606) >> 4 & 0x0101010101010101;
  value = __builtin_bswap64(value + 0x3030303030303030 + above_nine * ('a' - '0' - 10));
  std::memcpy(out, &value, 8);
}

void put_hex(char* out, uint64_t value) {
  put_hex_half(out, value >> 32);
  put_hex_half(out + 8, value & 0xffffffff);
}

// Keys are spread over the cores by chance: each has room for a tenth more than its share.
uint64_t keys_of_one_core(const config::Config& config) {
  const uint64_t cores = std::max<size_t>(1, config.cores.size());
  const uint64_t share = config.bounds.limiter_keys / cores + 1;
  return cores == 1 ? share : share + share / 10;
}

}  // namespace

Station::Station(const WorkerOptions& options, const config::Config& config,
                 uint32_t connections_max, core::Slab<UpstreamConnection>& upstreams,
                 core::Slab<Http2Connection>& http2_connections)
    : index(options.index),
      kernel(*options.kernel),
      labels(*options.labels),
      peers(options.peers),
      upstream_slots(upstreams),
      http2_slots(http2_connections),
      offload(options.offload),
      log_ring(options.log),
      log_writer(options.log_writer),
      generation(options.generation),
      configuration(&config),
      loop(kernel, *peers[index].postbox),
      random(options.secrets.choices),
      ids(options.secrets.ids),
      request_buffers(config.bounds.request_buffers()),
      response_buffers(config.bounds.exchanges),
      pipes(kernel, config.bounds.pipes),
      tls_states(connections_max + config.bounds.upstream_connections),
      sealed_buffers(config.bounds.sealed_buffers()),
      wire(core::limits::buffer_receive_bytes),
      http2(config.bounds.http2_memory_bytes),
      ownership(static_cast<uint32_t>(peers.size()), options.secrets.ownership,
                config.network_bits),
      shard(keys_of_one_core(config), config::limits_max, config.limits_on_full),
      failures(failing_addresses_max, 1, limiter::OnFull::admit),
      addresses(connections_max + config.bounds.request_buffers()),
      held(config.bounds.held + 1),
      doorbells(peers.size()) {
  shard.keep_journal(options.journal);
}

void Station::post(uint32_t owner, ExchangeMessage& message) {
  message.sender = static_cast<uint16_t>(index);
  // Sized by the exchanges that both sides can have: never full.
  peers[owner].postbox->post_within_bound(index, message);
  doorbells[owner] = true;
  has_posted = true;
}

void Station::answer(LimitVisit& visit) {
  visit.verdict =
      shard.visit(visit.visit, {visit.claims.data(), visit.count}, visit.hold, now(), visit.taken);
}

bool Station::submit(ExchangeMessage& job) {
  job.sender = static_cast<uint16_t>(index);
  return offload != nullptr && offload->submit(job);
}

void Station::wake_others() {
  for (uint32_t peer = 0; peer < peers.size(); ++peer) {
    if (peer != index) kernel.ring_doorbell(*peers[peer].kernel);
  }
}

limiter::Verdict Station::visit_failures(const core::SocketAddress& client, limiter::Visit visit) {
  limiter::KeyHash key = ownership.key(0);
  key.add(ownership.network_of(client));
  const limiter::Claim claim = key.claim(0);
  return failures.visit(visit, {&claim, 1}, limiter::HoldLimit{}, now());
}

void Station::log(const metrics::AccessRecord& record) {
  if (log_ring == nullptr) return;
  std::array<char, metrics::line_bytes_max> line;
  metrics::AccessRecord stamped = record;
  stamped.finished_at = kernel.wall_now();
  const size_t size = formatter.format(stamped, line);
  const auto outcome = log_ring->append({line.data(), size});
  if (outcome == metrics::LogRing::Outcome::half_full && log_writer != nullptr) log_writer->wake();
}

void Station::make_request_id(std::array<char, 32>& out) {
  put_hex(out.data(), ids.next());
  put_hex(out.data() + 16, ids.next());
}

// W3C Trace Context: version, trace id, parent id, not sampled.
void Station::make_traceparent(std::array<char, traceparent_bytes>& out) {
  put_hex(out.data() + 3, ids.next() | 1);
  put_hex(out.data() + 19, ids.next());
  put_hex(out.data() + 36, ids.next() | 1);
  out[0] = out[1] = out[53] = out[54] = '0';
  out[2] = out[35] = out[52] = '-';
}

std::string_view Station::http_date() {
  const auto seconds = epoch_seconds().time_since_epoch().count();
  if (seconds != date_second) {
    date_second = seconds;
    const time_t time = seconds;
    std::tm calendar{};
    ::gmtime_r(&time, &calendar);
    std::strftime(date.data(), date.size(), "%a, %d %b %Y %H:%M:%S GMT", &calendar);
  }
  return {date.data(), 29};
}

}  // namespace sluice::proxy
