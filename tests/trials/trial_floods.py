"""Floods: thousands of requests in one write, tunnels without end, requests that want to be held; and polite clients."""
import threading

from stage import Gateway, Origin, Polite, connect, expect, read_answer, request, until

UPGRADE = (b"GET /s HTTP/1.1\r\nHost: trial.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def pipelining(gateway, scale):
    polite = Polite(gateway.port, "/s", "127.0.9.1")
    for path in ("/ok", "/s"):
        with connect(gateway.port, "127.0.8.1") as connection:
            data = f"GET {path} HTTP/1.1\r\nHost: trial.test\r\n\r\n".encode() * (2000 * scale)
            sender = threading.Thread(target=lambda: swallow(lambda: connection.sendall(data)), daemon=True)
            sender.start()
            answers = 0
            while answers < 2000 * scale:
                piece = connection.recv(1 << 20)
                if not piece:
                    break
                answers += piece.count(b"HTTP/1.1 200 ")
            expect(answers == min(2000 * scale, 10000), f"{path}: {answers} answers")
    statuses = polite.stop()
    print(f"  pipelining: polite {statuses}, p99 {polite.p99_ms():.1f} ms")
    expect(set(statuses) == {200}, f"pipelining: a polite client is told {statuses}")


def swallow(what):
    try:
        what()
    except OSError:
        pass


def tunnels(gateway, scale):
    many = 80 * scale
    open_ones = []
    counts = {}
    for number in range(many):
        connection = connect(gateway.port, f"127.0.8.{1 + number % 8}")
        connection.sendall(UPGRADE)
        status, head, _ = read_answer(connection)
        counts[status] = counts.get(status, 0) + 1
        expect(status == 101 or (status == 503 and b"tunnel.busy" in head), f"a tunnel is told {head}")
        open_ones.append(connection)
    expect(counts.get(503, 0) > 0, f"no bound was met: {counts}")
    for _ in range(20):
        expect(request(gateway.port, "/s", "127.0.9.2")[0] == 200, "a polite client beside tunnels")
    print(f"  tunnels: {counts}")
    for connection in open_ones:
        connection.close()


def holds(gateway, scale):
    crowd = []
    for number in range(25 * 8):
        connection = connect(gateway.port, f"127.0.8.{1 + number % 25}")
        connection.sendall(b"GET /held HTTP/1.1\r\nHost: trial.test\r\n\r\n")
        crowd.append(connection)
    until(lambda: gateway.sum_of("gateway_requests_held") >= 40, "requests are held")
    statuses = [request(gateway.port, "/held", "127.0.9.3")[0] for _ in range(3)]
    print(f"  holds: polite {statuses}")
    expect(statuses == [200, 200, 200], f"a polite client beside held ones is told {statuses}")
    for connection in crowd:
        connection.close()


def run(sluice, scale):
    with Origin() as origin, Gateway(sluice, f"""
workers: {{ cores: 1, requests: 256, upstream_connections: 64 }}
limits: {{ slow: {{ key: address, rate: 1/s, burst: 50, delay: 1, max_hold: 60s }} }}
limiter: {{ held_max: 64 }}
upstreams: {{ s: {{ endpoints: ["http://127.0.0.1:{origin.port}"] }} }}
routes:
  - {{ match: {{ path_prefix: / }}, auth: none, respond: {{ status: 200, body: ok }} }}
  - {{ match: {{ path_prefix: /s }}, auth: none, upgrade: [websocket], upstream: s }}
  - {{ match: {{ path_prefix: /held }}, auth: none, limits: slow, respond: {{ status: 200, body: ok }} }}
""") as gateway:
        pipelining(gateway, scale)
        tunnels(gateway, scale)
        holds(gateway, scale)
        gateway.stop()
