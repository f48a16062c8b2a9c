"""Thousands who say half a head, or send a body byte by byte, or never the body of an upload that was refused, or never
read their answers; and polite clients, each of whom is served."""
from stage import Crowd, Gateway, Origin, Polite, expect, until

HALF_HEAD = b"GET / HTTP/1.1\r\nHost: trial.test\r\nX-A: b"
SLOW_BODY = b"POST / HTTP/1.1\r\nHost: trial.test\r\nContent-Length: 100000\r\n\r\nabc"
REFUSED = b"POST /denied HTTP/1.1\r\nHost: trial.test\r\nContent-Length: 100000\r\n\r\nabc"
DOWNLOAD = b"GET /?bytes=4000000 HTTP/1.1\r\nHost: trial.test\r\n\r\n"


def crowds(gateway, scale):
    many = 900 * scale if scale < 10 else 8500
    yield "half heads", [Crowd(gateway.port, many, HALF_HEAD)]
    yield "half heads and slow bodies", [Crowd(gateway.port, many // 2, HALF_HEAD),
                                         Crowd(gateway.port, many // 2, SLOW_BODY)]
    yield "refused uploads", [Crowd(gateway.port, many, REFUSED)]
    yield "nobody reads", [Crowd(gateway.port, many // 3, DOWNLOAD, reads=False)]


def run(sluice, scale):
    # Small bounds in the shortened run, so that the same share of them is taken.
    bounds = "connections: 2000, requests: 256, upstream_connections: 128" if scale < 10 else "cores: 2"
    with Origin() as origin, Gateway(sluice, f"""
workers: {{ {"cores: 1, " if scale < 10 else ""}{bounds} }}
upstreams: {{ s: {{ endpoints: ["http://127.0.0.1:{origin.port}"] }} }}
routes:
  - {{ match: {{ path_prefix: / }}, auth: none, upstream: s }}
  - {{ match: {{ path_prefix: /denied }}, auth: none, allow: [192.0.2.1], upstream: s }}
""") as gateway:
        alone = Polite(gateway.port, "/x", "127.0.9.1")
        until(lambda: alone.statuses.get(200, 0) >= 50, "50 answers")
        alone.stop()
        print(f"  alone: p99 {alone.p99_ms():.1f} ms")
        for name, crowd in crowds(gateway, scale):
            opened = sum(one.options[1] for one in crowd)
            until(lambda: sum(one.counts["opened"] for one in crowd) >= opened * 9 // 10, f"{name}: the crowd")
            polite = Polite(gateway.port, "/x", "127.0.9.2")
            until(lambda: sum(polite.statuses.values()) >= 100 * scale, f"{name}: a polite client", 300)
            statuses = polite.stop()
            for one in crowd:
                one.stop()
            print(f"  {name}: polite {statuses}, p99 {polite.p99_ms():.1f} ms; the crowd {[one.statuses for one in crowd]}")
            expect(set(statuses) == {200}, f"{name}: a polite client is told {statuses}")
        expect(gateway.sum_of("gateway_half_heads_shed_total") > 0, "no half head was shed")
        until(lambda: gateway.sum_of("gateway_half_heads") == 0, "half heads are still counted")
        until(lambda: gateway.sum_of("gateway_requests_in_flight") <= 1, "requests end", 90)
        gateway.stop()
