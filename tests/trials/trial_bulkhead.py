"""One of two upstreams hangs with everybody's requests on it; the other one, and what Sluice answers itself, go on."""
from stage import Crowd, Gateway, Origin, Polite, expect, request, until


def run(sluice, scale):
    many = 1500 if scale < 10 else 5000
    with Origin() as one, Origin() as other, Gateway(sluice, f"""
workers: {{ cores: 1 }}
upstreams:
  one: {{ endpoints: ["http://127.0.0.1:{one.port}"] }}
  other: {{ endpoints: ["http://127.0.0.1:{other.port}"] }}
routes:
  - {{ match: {{ path_prefix: /one }}, auth: none, upstream: one }}
  - {{ match: {{ path_prefix: /other }}, auth: none, upstream: other }}
""") as gateway:
        alone = Polite(gateway.port, "/other", "127.0.9.1")
        until(lambda: alone.statuses.get(200, 0) >= 100, "100 answers")
        alone.stop()
        one.hang()
        crowd = Crowd(gateway.port, many, b"GET /one HTTP/1.1\r\nHost: trial.test\r\n\r\n", sources=20, again=False)
        until(lambda: crowd.counts["opened"] >= many, "the crowd")
        polite = Polite(gateway.port, "/other", "127.0.9.2")
        health = Polite(gateway.port, "/health", "127.0.9.3")
        until(lambda: min(sum(polite.statuses.values()), sum(health.statuses.values())) >= 100 * scale, "answers", 200)
        statuses, healths = polite.stop(), health.stop()
        print(f"  other: alone p99 {alone.p99_ms():.1f} ms, beside {many} that hang {polite.p99_ms():.1f} ms {statuses}; "
              f"/health p99 {health.p99_ms():.1f} ms {healths}; the crowd {crowd.statuses}")
        expect(set(statuses) == {200}, f"the other upstream's client is told {statuses}")
        expect(set(healths) == {200}, f"/health says {healths}")
        metrics = gateway.metrics()
        expect(metrics['gateway_upstream_requests{upstream="one"}'] > 0, "the waiting requests are not shown")
        try:
            status, head, _ = request(gateway.port, "/one", "127.0.9.4", seconds=2)
            expect(status == 503 and b"Retry-After" in head and b"upstream.busy" in head,
                   f"refused without saying so: {head}")
        except TimeoutError:
            pass  # it waits with the others: an address that has no place yet is given one
        one.go_on()
        crowd.stop()
        until(lambda: request(gateway.port, "/one", "127.0.9.4")[0] == 200, "the upstream that hung is back")
        gateway.stop()
