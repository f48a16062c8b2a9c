"""What a take-over does to limits: they start anew, so a client may have its burst once more, and never more than that."""
import os
import threading
import time

from stage import Gateway, expect, request, until

RATE, BURST = 5, 4


def run(sluice, scale):
    with Gateway(sluice, "routes: [{ auth: none, respond: { body: ok } }]\n") as first:
        port = first.port
        expect(first.stop() == 0, "the first one stops")
    control = os.path.join(first.folder, "control.sock")
    configuration = (f"control: {control}\nlimits: {{ l: {{ key: address, rate: {RATE}/s, burst: {BURST}, delay: {BURST} }} }}\n"
                     "routes: [{ match: { path: /limited }, auth: none, limits: l, respond: { body: ok } }]\n")
    flags = ("--listen", f"127.0.0.1:{port}", "--log", "none")
    running = [Gateway(sluice, configuration, flags)]
    admitted = refused = 0
    going = True

    def ask():
        nonlocal admitted, refused
        while going:
            status = request(port, "/limited", "127.0.9.77")[0]
            admitted += status == 200
            refused += status == 429

    begin = time.monotonic()
    client = threading.Thread(target=ask, daemon=True)
    client.start()
    try:
        rounds = 3 * scale
        for _ in range(rounds):
            before = refused
            until(lambda: refused >= before + 20, "the bucket is full")
            running.append(Gateway(sluice, configuration, (*flags, "--take-over")))
            until(lambda: running[-2].process.poll() is not None, "the old one ends")
        before = refused
        until(lambda: refused >= before + 20, "the bucket is full")
        going = False
        client.join(60)
        elapsed = time.monotonic() - begin
        # One bucket for each process, and what leaks meanwhile: from two at once while both serve.
        most = (rounds + 1) * (BURST + 1) + 2 * RATE * elapsed + 1
        print(f"       {admitted} let in; one bucket: {BURST + 1 + RATE * elapsed:.0f}, with {rounds} take-overs at most {most:.0f}")
        expect(admitted <= most, f"{admitted} requests were let in; at most {most:.0f} may be")
        expect(running[-1].stop() == 0, "the last drain cut something")
    finally:
        going = False
        for gateway in running:
            if gateway.process.poll() is None:
                gateway.process.kill()
                gateway.process.wait()
