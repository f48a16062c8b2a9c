"""Two endpoints of which one is dead: nobody notices."""
import http.client
import socket

from stage import Gateway, Origin, expect


def run(sluice, scale):
    with socket.socket() as dead, Origin() as origin:
        dead.bind(("127.0.0.1", 0))  # and never listens
        with Gateway(sluice, f"""
upstreams:
  s: {{ endpoints: ["http://127.0.0.1:{origin.port}", "http://127.0.0.1:{dead.getsockname()[1]}"], retries: 0, eject: none }}
routes: [{{ match: {{ path_prefix: / }}, auth: none, upstream: s }}]
""") as gateway:
            counts = {}
            connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
            for number in range(1000 * scale):
                if number % 2:
                    connection.request("POST", "/x", body=b"some bytes")
                else:
                    connection.request("GET", "/x")
                answer = connection.getresponse()
                answer.read()
                counts[answer.status] = counts.get(answer.status, 0) + 1
                if answer.getheader("Connection") == "close":
                    connection.close()
            connection.close()
            print(f"  {counts}, tried again {gateway.sum_of('gateway_retries_total'):.0f} times")
            expect(set(counts) == {200}, f"clients are told {counts}")
            expect(gateway.sum_of("gateway_retries_total") > 0, "the dead endpoint was never tried")
            gateway.stop()
