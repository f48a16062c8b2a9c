"""The log is a pipe that nobody reads: start, requests, reopening and stop wait for nobody, and lost lines are counted."""
import os
import signal
import tempfile

from stage import Gateway, connect, expect, read_answer, until


def run(sluice, scale):
    pipe = os.path.join(tempfile.mkdtemp(), "pipe")
    os.mkfifo(pipe)
    configuration = "workers: { cores: 1 }\nroutes: [{ auth: none, respond: { body: ok } }]\n"
    with Gateway(sluice, configuration, ("--log", pipe)) as gateway:
        with connect(gateway.port) as connection:
            for _ in range(6000 * scale):
                connection.sendall(b"GET /x HTTP/1.1\r\nHost: trial.test\r\n\r\n")
                expect(read_answer(connection)[0] == 200, "a request was not answered")
        until(lambda: gateway.sum_of("gateway_log_dropped_total") > 0, "lost lines are counted")
        gateway.process.send_signal(signal.SIGUSR1)
        until(lambda: any("more slowly than they come" in line for line in gateway.said), "it is said")
        expect(gateway.stop() == 0, "the drain cut something")
