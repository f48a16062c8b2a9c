// Writes the families of TLS.
#include "gateway/metrics_tls.h"

#include <array>
#include <string_view>

namespace sluice::gateway {

namespace {

using metrics::Kind;
using proxy::TlsCounters;

constexpr std::array<std::string_view, 2> sides{"downstream", "upstream"};

template <typename Read>
uint64_t sum(const MetricsSources& sources, size_t side, Read&& read) {
  return sources.sum(
      [&](const proxy::Worker& worker) { return read(worker.counters().tls[side]).get(); });
}

void put_by_side(metrics::Exposition& out, const MetricsSources& sources, std::string_view name,
                 std::string_view help, core::Counter TlsCounters::*counter) {
  out.family(name, Kind::counter, help);
  for (size_t side = 0; side < sides.size(); ++side)
    out.sample({{"side", sides[side]}},
               sum(sources, side, [&](const TlsCounters& counters) -> const core::Counter& {
                 return counters.*counter;
               }));
}

}  // namespace

void put_tls(metrics::Exposition& out, const MetricsSources& sources) {
  out.family("gateway_tls_handshakes_total", Kind::counter, "TLS handshakes completed.");
  for (size_t side = 0; side < sides.size(); ++side) {
    out.sample({{"side", sides[side]}, {"version", "TLSv1.2"}},
               sum(sources, side,
                   [](const TlsCounters& of) -> const core::Counter& { return of.handshakes_12; }));
    out.sample({{"side", sides[side]}, {"version", "TLSv1.3"}},
               sum(sources, side,
                   [](const TlsCounters& of) -> const core::Counter& { return of.handshakes_13; }));
  }
  put_by_side(out, sources, "gateway_tls_resumed_total",
              "TLS handshakes completed that resumed an earlier session.", &TlsCounters::resumed);
  out.family("gateway_tls_handshake_failures_total", Kind::counter,
             "TLS handshakes that failed, by reason.");
  for (size_t side = 0; side < sides.size(); ++side) {
    for (size_t failure = 1; failure < tls::failures; ++failure) {
      const uint64_t count = sum(sources, side, [&](const TlsCounters& of) -> const core::Counter& {
        return of.failures[failure];
      });
      if (count > 0)
        out.sample(
            {{"side", sides[side]}, {"reason", tls::to_string(static_cast<tls::Failure>(failure))}},
            count);
    }
  }
  out.family("gateway_tls_handshaking", Kind::gauge, "TLS handshakes under way.");
  out.sample({}, sources.sum(&proxy::Counters::tls_handshaking));
  put_by_side(out, sources, "gateway_tls_alerts_sent_total",
              "TLS alerts sent, without close_notify.", &TlsCounters::alerts_sent);
  put_by_side(out, sources, "gateway_tls_alerts_received_total",
              "TLS alerts received, without close_notify.", &TlsCounters::alerts_received);
  put_by_side(out, sources, "gateway_tls_truncated_total",
              "TLS connections that the other side ended without close_notify.",
              &TlsCounters::truncated);
  put_by_side(out, sources, "gateway_tls_broken_total",
              "TLS sessions that failed after their handshake.", &TlsCounters::broken);
  if (sources.registry == nullptr) return;
  out.family("gateway_certificate_not_after_seconds", Kind::gauge,
             "When a certificate expires, in seconds since 1970.");
  for (const CertificateNote& note : sources.registry->certificates())
    out.sample({{"name", note.name}, {"key", note.key}}, note.not_after_s);
}

}  // namespace sluice::gateway
