# Hours in minutes: mixed traffic through the gateway as it ships, good and bad clients, tunnels, slow readers, an endpoint that
# stops, dies and comes back. Afterwards it must be as it was: descriptors, memory, buffers, no kernel worker threads.
# usage: soak.py PATH_TO_SLUICE SECONDS [SANITIZER]; a sanitizer's memory is its own affair
import atexit
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sluice = os.path.abspath(sys.argv[1])
seconds = float(sys.argv[2])
counts_memory = len(sys.argv) < 4
folder = tempfile.mkdtemp()
stop = threading.Event()
counts = {}
lock = threading.Lock()


def count(what):
    with lock:
        counts[what] = counts.get(what, 0) + 1


def end(process):
    if process.poll() is None:
        process.kill()


def start(*arguments):
    process = subprocess.Popen([sluice, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    atexit.register(end, process)  # however this ends
    while True:
        line = process.stderr.readline()
        assert line, "it ended early: " + " ".join(arguments)
        found = re.search(r"(?:port |127\.0\.0\.1:)(\d+)", line)
        if found:
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, int(found.group(1))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# An endpoint for tunnels: agrees to every upgrade and echoes.
def serve_tunnels(listener):
    def one(connection):
        with connection:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    head += piece
                if b"Upgrade: websocket" not in head:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                    return
                connection.sendall(b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
                while piece := connection.recv(65536):
                    connection.sendall(piece)
            except OSError:
                pass
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


service_port = free_port()
service, _ = start("backend", "--listen", f"127.0.0.1:{service_port}")
tunnel_listener = socket.create_server(("127.0.0.1", 0), backlog=256)
threading.Thread(target=serve_tunnels, args=(tunnel_listener,), daemon=True).start()


def make_gateway(endpoint_port, name):
    config = os.path.join(folder, name)
    with open(config, "w") as file:
        file.write(f"""
listen: 127.0.0.1:0
workers: {{ cores: {os.cpu_count()} }}
limits: {{ a: {{ key: address, rate: 1000000/s, burst: 1000000, delay: 1000000 }} }}
upstreams: {{ a: {{ endpoints: [http://127.0.0.1:{endpoint_port}], timeouts: {{ head: {"2s" if counts_memory else "20s"}, deadline: 30s }} }} }}
routes: [ {{ auth: none, limits: [a], upstream: a }} ]
log: none
""")
    return start("run", "--config", config)


gateway, port = make_gateway(service_port, "service.yaml")
tunnels, tunnel_port = make_gateway(tunnel_listener.getsockname()[1], "tunnels.yaml")


def connect(to=None):
    return socket.create_connection(("127.0.0.1", to or port), timeout=10 if counts_memory else 100)


def read_answer(connection, reader=None):
    reader = reader or connection.makefile("rb")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return None
        head += line
    length = re.search(rb"\r\nContent-Length: (\d+)", head)
    if length and len(reader.read(int(length.group(1)))) < int(length.group(1)):
        return None
    return int(head[9:12])


def polite():
    with connect() as c, c.makefile("rb") as reader:
        for _ in range(random.randint(1, 200)):
            kind = random.random()
            if kind < 0.6:
                c.sendall(b"GET /bytes?n=%d HTTP/1.1\r\nHost: a\r\n\r\n" % random.choice((10, 1000, 20000)))
            elif kind < 0.8:
                body = b"x" * random.choice((1, 5000, 100000))
                c.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            else:
                c.sendall(b"GET /bytes?n=3 HTTP/1.1\r\nHost: a\r\n\r\n" * 5)
                for _ in range(4):
                    read_answer(c, reader)
            status = read_answer(c, reader)
            count(f"answer {status}")
            if status is None or stop.is_set():
                return


def rude():
    junk = [b"GET / HTTP/1.1\nHost: a\r\n\r\n", os.urandom(2000), b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40000, b"\x16\x03\x01\x02\x00" + os.urandom(200)]
    with connect() as c:
        c.sendall(random.choice(junk))
        count(f"rude {read_answer(c)}")


def leaving():
    c = connect()
    c.sendall(b"GET /bytes?n=100000000 HTTP/1.1\r\nHost: a\r\n\r\n")
    for _ in range(random.randint(0, 20)):
        c.recv(65536)
    if random.random() < 0.5:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    c.close()
    count("left")


def half_sent():
    c = connect()
    c.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * random.randint(0, 300000))
    time.sleep(random.random() * 0.2)
    c.close()
    count("half sent")


def tunnel():
    with connect(tunnel_port) as c, c.makefile("rb") as reader:
        c.sendall(b"GET /t HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert read_answer(c, reader) == 101
        for _ in range(random.randint(1, 50)):
            data = os.urandom(random.choice((1, 1000, 100000)))
            sender = threading.Thread(target=c.sendall, args=(data,))
            sender.start()
            got = reader.read(len(data))
            sender.join()
            assert got == data, "a tunnel brought back something else"
        count("tunnel")


def loop(what):
    while not stop.is_set():
        try:
            what()
        except (OSError, TimeoutError):
            count(f"{what.__name__} broken")
            time.sleep(0.05)


def restless_endpoint():
    global service
    while not stop.wait(random.uniform(1, 4)):
        if random.random() < 0.5:
            service.send_signal(signal.SIGSTOP)
            stop.wait(random.uniform(0.1, 2.5))
            service.send_signal(signal.SIGCONT)
            count("endpoint stopped")
        else:
            service.kill()
            service.wait()
            stop.wait(random.uniform(0, 1))
            service, _ = start("backend", "--listen", f"127.0.0.1:{service_port}")
            count("endpoint killed")


def metric(of, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{of}/metrics", timeout=20) as answer:
        return int(float(re.search(rf"^{name} (\S+)$", answer.read().decode(), re.M).group(1)))


def memory(process):
    with open(f"/proc/{process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def worker_threads(process):
    names = []
    for task in os.listdir(f"/proc/{process.pid}/task"):
        with open(f"/proc/{process.pid}/task/{task}/comm") as file:
            names.append(file.read())
    return sum(name.startswith("iou-wrk") for name in names)


def until(what, condition, patience=30):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < patience, what
        time.sleep(0.1)


# --- a thousand who read nothing of a gibibyte -------------------------------------------------------------------------------

def slow_readers():
    number = 1000 if seconds >= 60 else 200 if counts_memory else 20
    readers = []
    nothing = memory(gateway)
    for _ in range(number):
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.connect(("127.0.0.1", port))
        c.sendall(b"GET /bytes?n=1073741824 HTTP/1.1\r\nHost: a\r\n\r\n")
        readers.append(c)
    until("all of them are answered", lambda: metric(port, "gateway_requests_in_flight") >= number * 0.99)
    time.sleep(1)
    before = memory(gateway)
    taken = 0
    for c in readers:
        c.setblocking(False)
    for _ in range(40):
        for c in readers:
            try:
                taken += len(c.recv(4096))
            except BlockingIOError:
                pass
        time.sleep(0.05)
        began = time.monotonic()
        with connect() as quick:
            quick.sendall(b"GET /bytes?n=10 HTTP/1.1\r\nHost: a\r\n\r\n")
            status = read_answer(quick)
            assert status == 200 or not counts_memory, f"another client gets {status}"
        others_ms = (time.monotonic() - began) * 1000
    after = memory(gateway)
    print(f"slow readers: {number}, {nothing >> 20} MiB before, {before >> 20} MiB with them, {after >> 20} MiB after they took {taken // number >> 10} KiB each; "
          f"another client's request took {others_ms:.1f} ms; kernel workers {worker_threads(gateway)}")
    # A request's buffer as far as it was used, a response's to its end.
    assert not counts_memory or after < nothing + number * (100 << 10) + (8 << 20), "memory grows with what they do not read"
    assert worker_threads(gateway) == 0
    for c in readers:
        c.close()
    until("they are gone", lambda: metric(port, "gateway_requests_in_flight") <= 1)


slow_readers()
idle_descriptors = (descriptors(gateway), descriptors(tunnels))
threads = [threading.Thread(target=loop, args=(what,)) for what in (polite, polite, polite, rude, leaving, half_sent, tunnel, tunnel)]
threads.append(threading.Thread(target=restless_endpoint))
for thread in threads:
    thread.start()
began = time.monotonic()
time.sleep(seconds * 0.3)
early = memory(gateway)
most_workers = 0
while time.monotonic() - began < seconds:
    time.sleep(min(5.0, seconds * 0.1))
    most_workers = max(most_workers, worker_threads(gateway) + worker_threads(tunnels))
late = memory(gateway)
stop.set()
for thread in threads:
    thread.join()
until("nothing is in flight", lambda: metric(port, "gateway_requests_in_flight") <= 1 and metric(tunnel_port, "gateway_tunnels_open") == 0)
# Connections to the endpoint that idle may stay; everything else is closed.
until("descriptors are as they were", lambda: descriptors(gateway) <= idle_descriptors[0] + 64 and descriptors(tunnels) <= idle_descriptors[1] + 8)
for of in (port, tunnel_port):
    for name in ("gateway_engine_stale_completions_total", "gateway_engine_unexpected_errors_total", "gateway_engine_io_workers",
                 "gateway_engine_buffers_starved"):
        assert metric(of, name) == 0, f"{name} is {metric(of, name)}"
print(f"memory: {early >> 20} MiB after a third, {late >> 20} MiB at the end; kernel workers {most_workers}; "
      f"descriptors {descriptors(gateway)}, {descriptors(tunnels)}")
print(", ".join(f"{what}: {number}" for what, number in sorted(counts.items())))
assert most_workers == 0
# In a short run much is touched for the first time after a third of it.
warm_up = 8 << 20 if seconds >= 60 else 64 << 20
assert not counts_memory or late < early * 1.15 + warm_up, "memory grows"
assert counts.get("answer 200", 0) > 0 and counts.get("tunnel", 0) > 0
for process in (gateway, tunnels):
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=40) == 0, "a clean stop"
service.kill()
service.wait()
print("soak: all well")
