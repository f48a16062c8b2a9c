"""Nobody means harm: the stage itself works."""
from stage import Gateway, Origin, Polite, expect, until


def run(sluice, scale):
    with Origin() as origin, Gateway(sluice, f"""
upstreams: {{ s: {{ endpoints: ["http://127.0.0.1:{origin.port}"] }} }}
routes: [{{ match: {{ path_prefix: / }}, auth: none, upstream: s }}]
""") as gateway:
        polite = Polite(gateway.port, "/x", "127.0.9.1")
        until(lambda: polite.statuses.get(200, 0) >= 20 * scale, "20 answers")
        statuses = polite.stop()
        expect(set(statuses) == {200}, f"a polite client is told {statuses}")
        expect(gateway.stop() == 0, "the drain cut something")
