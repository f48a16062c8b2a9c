"""What every trial needs: a gateway as it ships, endpoints that misbehave on demand, polite clients, and the metrics.

A trial is a file trial_NAME.py with one function run(sluice, scale). It raises Failure when somebody is not served as
promised. It never asserts a time: it counts statuses, failures, counters and who was served. `scale` is 1 for the
shortened run and larger for the whole one.
"""
import asyncio
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time


class Failure(Exception):
    pass


def expect(is_so, what):
    if not is_so:
        raise Failure(what)


def until(is_so, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = is_so()
        if value:
            return value
        time.sleep(0.02)
    raise Failure(f"waited {seconds} s for: {what}")


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 30000), hard))


class Gateway:
    """A sluice with this configuration, on a port that the kernel chose."""

    def __init__(self, sluice, configuration, arguments=()):
        self.folder = tempfile.mkdtemp()
        self.log = os.path.join(self.folder, "access.log")
        path = os.path.join(self.folder, "sluice.yaml")
        with open(path, "w") as file:
            file.write(f'listen: [{{ address: "127.0.0.1:0" }}]\nlog: {self.log}\n{configuration}')
        environment = dict(os.environ, JWT_SECRET="a-secret-of-thirty-two-bytes-or-so")
        self.process = subprocess.Popen([sluice, "run", "--config", path, *arguments], env=environment,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.said = []
        self.port = 0
        for line in self.process.stderr:
            self.said.append(line)
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        expect(self.port, "the gateway did not start: " + "".join(self.said))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stderr:
            self.said.append(line)

    def metrics(self):
        status, _, body = request(self.port, "/metrics")
        expect(status == 200, f"/metrics says {status}")
        values = {}
        for line in body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def sum_of(self, family):
        """The sum of all samples of a family."""
        return sum(value for name, value in self.metrics().items() if name == family or name.startswith(family + "{"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure("the gateway did not stop")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


ORIGIN = r"""
import asyncio, re, sys
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            left = int(length.group(1)) if length else 0
            while left:
                left -= len(await reader.read(min(left, 65536))) or sys.exit()
            size = re.search(rb"\?bytes=(\d+)", head)
            if b"upgrade: websocket" in head.lower():
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                while data := await reader.read(65536):
                    writer.write(data)
                break
            body = b"x" * (int(size.group(1)) if size else 2)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            for begin in range(0, len(body), 65536):
                writer.write(body[begin:begin + 65536])
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, SystemExit):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Origin:
    """An endpoint in a process of its own, so that it can be stopped: /?bytes=N answers N bytes, tunnels echo."""

    def __init__(self):
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", ORIGIN], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline())

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def connect(port, source="127.0.0.1", seconds=60):
    connection = socket.socket()
    connection.settimeout(seconds)
    connection.bind((source, 0))
    connection.connect(("127.0.0.1", port))
    return connection


def read_answer(connection):
    """Status, head and body of one answer; status 0 where the connection ended first."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return 0, data, b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    while length and len(body) < int(length.group(1)):
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    if not length and b"transfer-encoding: chunked" in head.lower():
        while not body.endswith(b"0\r\n\r\n"):
            piece = connection.recv(65536)
            if not piece:
                break
            body += piece
        body = dechunk(body)
    return int(head.split()[1]), head, body


def dechunk(body):
    whole = b""
    while body:
        line, _, rest = body.partition(b"\r\n")
        size = int(line.split(b";")[0] or b"0", 16)
        if size == 0:
            break
        whole += rest[:size]
        body = rest[size + 2:]
    return whole


def request(port, path, source="127.0.0.1", seconds=60, more=""):
    with connect(port, source, seconds) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: trial.test\r\nConnection: close\r\n{more}\r\n".encode())
        return read_answer(connection)


class Polite:
    """A client that asks one thing after another, each on a new connection, and remembers how it was served."""

    def __init__(self, port, path, source, pause=0.02):
        self.statuses = {}
        self.times = []
        self.going = True
        self.arguments = (port, path, source)
        self.pause = pause
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self):
        while self.going:
            begin = time.monotonic()
            try:
                status = request(*self.arguments, seconds=150)[0]
            except OSError as error:
                status = type(error).__name__
            self.times.append(time.monotonic() - begin)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            time.sleep(self.pause)

    def stop(self):
        self.going = False
        self.thread.join(200)
        expect(not self.thread.is_alive(), "a polite client waits for ever")
        return self.statuses

    def p99_ms(self):
        times = sorted(self.times)
        return 1000 * times[min(len(times) - 1, len(times) * 99 // 100)] if times else 0.0


class Crowd:
    """Many connections that each say `text` and then do nothing but read what comes, or not even that. Whoever is closed
    comes again."""

    def __init__(self, port, count, text, sources=8, reads=True, again=True):
        self.counts = {"opened": 0, "closed": 0}
        self.statuses = {}
        self.going = True
        self.options = (port, count, text, sources, reads, again)
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.thread.start()

    async def _run(self):
        port, count, text, sources, reads, again = self.options

        async def one(number):
            writer = None
            while self.going:
                try:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", port, local_addr=(f"127.0.8.{1 + number % sources}", 0), limit=4096)
                    self.counts["opened"] += 1
                    writer.write(text)
                    if reads:
                        data = b" "
                        first = True
                        while self.going and data:
                            data = await asyncio.wait_for(reader.read(4096), 600)
                            if first and data.startswith(b"HTTP/1.1 "):
                                status = int(data[9:12])
                                self.statuses[status] = self.statuses.get(status, 0) + 1
                            first = False
                    else:
                        writer.transport.pause_reading()
                        while self.going and not writer.transport.is_closing():
                            await asyncio.sleep(0.5)
                    writer.transport.abort()
                    self.counts["closed"] += 1
                except OSError:
                    self.counts["closed"] += 1
                except asyncio.CancelledError:
                    if writer is not None:
                        writer.transport.abort()
                    raise
                if not again:
                    return
                await asyncio.sleep(0.05)

        tasks = []
        for number in range(count):
            tasks.append(asyncio.ensure_future(one(number)))
            if number % 50 == 49:
                await asyncio.sleep(0.01)
        while self.going:
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self):
        self.going = False
        self.thread.join(60)
