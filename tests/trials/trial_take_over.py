"""One process after another takes over, under clients that come anew and clients that stay: nobody is refused, reset, or
meets the end of the connection in answer to a request."""
import os
import re
import threading

from stage import Failure, Gateway, connect, expect, read_answer, until


class Kept:
    """A client that keeps its connection until an answer tells it to come anew."""

    def __init__(self, port, source):
        self.arguments = (port, source)
        self.answers = 0
        self.moves = 0
        self.failure = None
        self.going = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while self.going:
                with connect(*self.arguments) as connection:
                    while self.going:
                        connection.sendall(b"GET /kept HTTP/1.1\r\nHost: trial.test\r\n\r\n")
                        status, head, _ = read_answer(connection)
                        if status != 200:
                            raise Failure(f"status {status} after {self.answers} answers")
                        self.answers += 1
                        if b"connection: close" in head.lower():
                            self.moves += 1
                            break
                        threading.Event().wait(0.03)
        except (OSError, Failure) as failure:
            self.failure = failure

    def stop(self):
        self.going = False
        self.thread.join(60)
        if self.failure:
            raise Failure(f"a client that stays: {self.failure!r}")


def run(sluice, scale):
    with Gateway(sluice, "routes: [{ auth: none, respond: { body: ok } }]\n") as first:
        port = first.port
        expect(first.stop() == 0, "the first one stops")
    control = os.path.join(first.folder, "control.sock")
    configuration = f"control: {control}\nworkers: {{ cores: %d }}\nroutes: [{{ auth: none, respond: {{ body: ok }} }}]\n"
    flags = ("--listen", f"127.0.0.1:{port}", "--log", "none")
    running = [Gateway(sluice, configuration % 1, flags)]
    try:
        clients = [Kept(port, f"127.0.9.{number + 1}") for number in range(6)]
        until(lambda: all(client.answers > 3 for client in clients), "all are served")
        for round_ in range(3 * scale):
            moved = [client.moves for client in clients]
            running.append(Gateway(sluice, configuration % (1 + round_ % 2), (*flags, "--take-over")))
            until(lambda: all(client.failure or client.moves > before for client, before in zip(clients, moved)), "all went over")
            until(lambda: running[-2].process.poll() is not None, "the old one ends")
            expect(running[-2].process.returncode == 0, "the old one cut something")
        for client in clients:
            client.stop()
        expect(os.path.exists(control), "the control socket is the last one's")
        expect(running[-1].stop() == 0, "the last drain cut something")
        expect(not os.path.exists(control), "its maker removes the control socket")
        expect(re.search("taken over", "".join(running[0].said)) is not None, "the first one says why it ends")
    finally:
        for gateway in running:
            if gateway.process.poll() is None:
                gateway.process.kill()
                gateway.process.wait()
