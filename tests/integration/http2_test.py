#!/usr/bin/python3
"""HTTP/2 of clients over real sockets: curl, nghttp2's clients and Python's h2 on one side, an HTTP/1.1 endpoint on the other.
What an exchange can be, it can be over either protocol; what is HTTP/2's own (resets, windows, GOAWAY) is looked at frame by
frame.

usage: http2_test.py PATH_TO_SLUICE
"""
import atexit
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

sluice = sys.argv[1]
folder = tempfile.mkdtemp()
atexit.register(shutil.rmtree, folder, True)
failures = 0
big = os.urandom(64) * 65536  # 4 MiB


def expect(good, what):
    global failures
    if not good:
        failures += 1
        print("FAILED:", what)


# --- the endpoint ----------------------------------------------------------------------------------------------------------

release_slow = threading.Event()


class Endpoint(threading.Thread):
    """Speaks HTTP/1.1 by hand, so that it can say whatever a test needs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen = []
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        reader = connection.makefile("rb")
        try:
            while self.answer(connection, reader):
                pass
        except OSError:
            pass
        connection.close()

    def answer(self, connection, reader):
        line = reader.readline()
        if not line:
            return False
        method, target, _ = line.decode("latin-1").split(" ")
        fields = []
        while (field := reader.readline().decode("latin-1").rstrip("\r\n")):
            fields.append(tuple(part.strip() for part in field.split(":", 1)))
        headers = {name.lower(): value for name, value in fields}
        self.seen.append((method, target, fields))
        path = target.split("?")[0]
        if path == "/early":
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope")
            return False
        body, trailers = self.read_body(reader, headers)
        if path == "/trailers":
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nTrailer: X-Sum\r\n"
                               b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n")
        elif path == "/big":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(big) + big)
        elif path == "/close":
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
            return False
        elif path == "/cut":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            return False
        elif path == "/none":
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif path == "/slow":
            release_slow.wait(20)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        else:
            text = json.dumps({"method": method, "target": target, "sha": hashlib.sha256(body).hexdigest(), "size": len(body),
                               "trailers": trailers, "fields": sorted(name.lower() for name, _ in fields)}).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nSet-Cookie: a=b\r\n\r\n" % len(text)
            connection.sendall(head + (b"" if method == "HEAD" else text))
        return True

    @staticmethod
    def read_body(reader, headers):
        trailers = []
        if headers.get("transfer-encoding") != "chunked":
            return reader.read(int(headers.get("content-length", 0))), trailers
        body = b""
        while (size := int(reader.readline().split(b";")[0], 16)):
            body += reader.read(size)
            reader.readline()
        while (line := reader.readline().rstrip(b"\r\n")):
            trailers.append(line.decode())
        return body, trailers


endpoint = Endpoint()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


port = free_port()
configuration = f"{folder}/sluice.yaml"
log_path = f"{folder}/access.log"
with open(configuration, "w") as file:
    file.write(f"""
listen: [{{ address: "127.0.0.1:{port}", h2c: true }}]
workers: {{ cores: 1 }}
http2: {{ streams: 100 }}
log: {log_path}
sandbox: off
drain: {{ deadline: 10s }}
auth: {{ main: {{ secret: {{ env: JWT_SECRET }} }} }}
limits: {{ few: {{ key: route, rate: 1/h, burst: 1, delay: 1 }} }}
upstreams: {{ service: {{ endpoints: ["http://127.0.0.1:{endpoint.port}"] }} }}
routes:
  - {{ match: {{ path: /protected }}, auth: main, upstream: service }}
  - {{ match: {{ path: /limited }}, auth: none, limits: few, upstream: service }}
  - {{ match: {{ path: /moved }}, auth: none, redirect: {{ to: /here }} }}
  - {{ match: {{ path: /small }}, auth: none, max_body: 1KiB, upstream: service }}
  - {{ match: {{ path: /only-here }}, auth: none, respond: {{ status: 200, body: "here" }} }}
  - {{ match: {{ path: /metrics }}, auth: none, metrics: true }}
  - {{ auth: none, upstream: service }}
""".replace("  - { match: { path: /metrics }, auth: none, metrics: true }\n", ""))


def begin():
    process = subprocess.Popen([sluice, "run", "--config", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True)
    atexit.register(lambda: process.poll() is None and (process.kill(), process.wait()))
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            if process.poll() is not None:
                print(process.stderr.read())
                sys.exit(1)
            time.sleep(0.05)
    sys.exit("it does not listen")


os.environ["JWT_SECRET"] = "a secret of the tests that is long enough for HS256"
gateway = begin()


# --- a client on the level of frames ---------------------------------------------------------------------------------------


class Client:
    def __init__(self, window=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8",
                                                                       validate_outbound_headers=False,
                                                                       normalize_outbound_headers=False))
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.events = []
        self.open = True
        self.flush()

    def flush(self):
        try:
            self.socket.sendall(self.h2.data_to_send())
        except OSError:
            self.open = False

    def ask(self, path, method="GET", fields=(), end=True):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", method), (":scheme", "http"), (":authority", "test"), (":path", path), *fields],
                             end_stream=end)
        self.flush()
        return stream

    def hear(self):
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.open = False
            return
        for event in self.h2.receive_data(data):
            self.events.append(event)
            if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()

    def wait(self, kind, stream=None):
        def found():
            return next((event for event in self.events if isinstance(event, kind) and
                         (stream is None or getattr(event, "stream_id", None) == stream)), None)
        while self.open and found() is None:
            self.hear()
        return found()

    def answer(self, stream):
        """status, fields, body, trailers; or the reset"""
        while self.open:
            mine = [event for event in self.events if getattr(event, "stream_id", None) == stream]
            if any(isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)) for event in mine):
                break
            self.hear()
        mine = [event for event in self.events if getattr(event, "stream_id", None) == stream]
        head = next((event for event in mine if isinstance(event, h2.events.ResponseReceived)), None)
        body = b"".join(event.data for event in mine if isinstance(event, h2.events.DataReceived))
        trailers = next((event.headers for event in mine if isinstance(event, h2.events.TrailersReceived)), [])
        fields = dict(head.headers) if head else {}
        return int(fields.get(":status", 0)), fields, body, [tuple(one) for one in trailers]


def metric(name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def logged(path):
    """What the log says of a path, once it says something."""
    begun = time.monotonic()
    while time.monotonic() < begun + 30:
        with open(log_path) as lines:
            found = [json.loads(line) for line in lines if line.endswith("\n")]
        found = [record for record in found if record["path"] == path]
        if found:
            return found
        time.sleep(0.01)
    return []


def curl(*arguments):
    done = subprocess.run(["curl", "-s", "--max-time", "30", "--http2-prior-knowledge", *arguments], capture_output=True)
    return done.stdout


# --- the same stories over both protocols ----------------------------------------------------------------------------------

ours = {"date", "x-request-id", "connection", "transfer-encoding", "keep-alive"}


def over_http1(method, path, fields, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for field in [("Host", "test"), *fields, *([("Content-Length", str(len(body)))] if body else [])]:
        connection.putheader(*field)
    connection.endheaders(body or None)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, text


def over_http2(method, path, fields, body):
    client = Client()
    fields = [(name.lower(), value) for name, value in fields]
    if body:
        fields.append(("content-length", str(len(body))))
    stream = client.ask(path, method, fields, end=not body)
    if body:
        client.h2.send_data(stream, body, end_stream=True)
        client.flush()
    status, answered, text, _ = client.answer(stream)
    client.socket.close()
    return status, {name: value for name, value in answered.items() if not name.startswith(":")}, text


def without_ours(fields):
    return {name: value for name, value in fields.items() if name not in ours}


def comparable(text):
    try:
        told = json.loads(text)
    except ValueError:
        return text
    for key in ("request_id", "instance"):
        told.pop(key, None)
    return told


stories = [
    ("GET", "/a?b=c", [("X-Field", "value"), ("Cookie", "a=1; b=2")], b""),
    ("HEAD", "/a", [], b""),
    ("POST", "/a", [], b"a body"),
    ("PUT", "/a/./b/../c", [], b"x" * 10000),
    ("DELETE", "/a", [], b""),
    ("OPTIONS", "/a", [], b""),
    ("GET", "/none", [], b""),
    ("GET", "/protected", [], b""),
    ("GET", "/protected", [("Authorization", "Bearer nonsense")], b""),
    ("GET", "/moved", [], b""),
    ("GET", "/only-here", [], b""),
    ("GET", "/health", [], b""),
    ("GET", "/%2e%2e/%2e%2e/x", [], b""),
    ("GET", "/%zz", [], b""),
    ("POST", "/small", [], b"x" * 2000),
    ("TRACE", "/a", [], b""),
    ("GET", "/a", [("Expect", "something")], b""),
]
for story in stories:
    one, two = over_http1(*story), over_http2(*story)
    expect(one[0] == two[0], f"{story[:2]}: {one[0]} over HTTP/1.1, {two[0]} over HTTP/2")
    expect(without_ours(one[1]) == without_ours(two[1]), f"{story[:2]}: {without_ours(one[1])}\n  {without_ours(two[1])}")
    expect(comparable(one[2]) == comparable(two[2]), f"{story[:2]}: {one[2][:300]}\n  {two[2][:300]}")
expect("connection" not in over_http2(*stories[7])[1], "a field of HTTP/1.1 goes out over HTTP/2")
first = over_http1("GET", "/limited", [], b"")[0], over_http2("GET", "/limited", [], b"")[0], over_http2("GET", "/limited", [], b"")
expect(first[:2] == (200, 200) and first[2][0] == 429 and "retry-after" in first[2][1], f"one bucket for both: {first}")

# --- clients of others -----------------------------------------------------------------------------------------------------

told = json.loads(curl(f"http://127.0.0.1:{port}/curl?x"))
expect(told["method"] == "GET" and told["target"] == "/curl?x", f"curl: {told}")
with open(f"{folder}/big", "wb") as file:
    file.write(big)
told = json.loads(curl("-T", f"{folder}/big", f"http://127.0.0.1:{port}/upload"))
expect(told["sha"] == hashlib.sha256(big).hexdigest(), "curl: an upload of 4 MiB is another one")
expect(curl(f"http://127.0.0.1:{port}/big") == big, "curl: a download of 4 MiB is another one")
expect(curl(f"http://127.0.0.1:{port}/close") == b"until the end", "curl: an answer that ends at close")
codes = curl("-o", "/dev/null", "-w", "%{http_version} %{http_code}\n", f"http://127.0.0.1:{port}/a",
             "--next", "-s", "--http1.1", "-o", "/dev/null", "-w", "%{http_version} %{http_code}\n", f"http://127.0.0.1:{port}/a")
expect(codes == b"2 200\n1.1 200\n", f"curl, one after the other: {codes}")
if shutil.which("nghttp"):
    shown = subprocess.run(["nghttp", "-nv", "-m", "5", f"http://127.0.0.1:{port}/a"], capture_output=True, text=True, timeout=60).stdout
    expect(shown.count(":status: 200") == 5, "nghttp gets five answers")
if shutil.which("h2load"):
    shown = subprocess.run(["h2load", "-n", "3000", "-c", "10", "-m", "20", f"http://127.0.0.1:{port}/a"], capture_output=True,
                           text=True, timeout=120).stdout
    expect("3000 succeeded, 0 failed, 0 errored" in shown, f"h2load: {shown}")
if shutil.which("node"):
    script = ("const c=require('http2').connect(process.argv[1]);const r=c.request({':path':'/node',':method':'POST'});"
              "let t='';r.on('data',d=>t+=d);r.on('end',()=>{console.log(t);c.close()});r.end('from node')")
    shown = subprocess.run(["node", "-e", script, f"http://127.0.0.1:{port}"], capture_output=True, text=True, timeout=60).stdout
    expect('"size": 9' in shown, f"node: {shown}")

# --- what an exchange can be -----------------------------------------------------------------------------------------------

client = Client()
status, fields, body, trailers = client.answer(client.ask("/trailers", fields=[("te", "trailers")]))
hints = client.wait(h2.events.InformationalResponseReceived)
expect(status == 200 and body == b"hello" and ("x-sum", "7") in trailers, f"trailers come through: {status} {body} {trailers}")
expect(hints is not None and dict(hints.headers)[":status"] == "103", "103 comes through")
stream = client.ask("/up", "POST", [("expect", "100-continue")], end=False)
proceed = next((event for event in [client.wait(h2.events.InformationalResponseReceived, stream)] if event), None)
expect(proceed is not None and dict(proceed.headers)[":status"] == "100", "100 is sent when the endpoint is ready")
client.h2.send_data(stream, b"body")
client.h2.send_headers(stream, [("x-up", "1"), ("authorization", "no")], end_stream=True)
client.flush()
told = json.loads(client.answer(stream)[2])
expect(told["size"] == 4 and told["trailers"] == ["x-up: 1"], f"trailers of a request: {told}")
stream = client.ask("/early", "POST", [("content-length", "1000000")], end=False)
status, _, body, _ = client.answer(stream)
expect(status == 403 and body == b"nope", f"an early answer is whole: {status} {body}")
reset = client.wait(h2.events.StreamReset, stream)
expect(reset is not None and reset.error_code == h2.errors.ErrorCodes.NO_ERROR, f"and the upload is stopped: {reset}")
stream = client.ask("/cut")
client.answer(stream)
reset = client.wait(h2.events.StreamReset, stream)
expect(reset is not None and reset.error_code == h2.errors.ErrorCodes.INTERNAL_ERROR, f"an answer that breaks off: {reset}")
expect(client.answer(client.ask("/a"))[0] == 200, "the connection lives on")

# To gRPC a refusal is a status in a head that is all there is.
for path, wanted, code in [("/protected", "16", "jwt.missing"), ("/limited", "8", "limit.few"), ("/nowhere?", None, None)]:
    client.events.clear()
    status, fields, body, _ = client.answer(client.ask(path, "POST", [("content-type", "application/grpc+proto"), ("te", "trailers")]))
    if wanted is None:
        expect(status == 200 and "grpc-status" not in fields, f"an answer of the endpoint stays as it is: {fields}")
        continue
    expect(status == 200 and fields.get("grpc-status") == wanted and fields.get("grpc-message") == code and not body and
           fields.get("content-type") == "application/grpc", f"gRPC, {path}: {status} {fields} {body}")
    expect(wanted != "8" or int(fields.get("grpc-retry-pushback-ms", 0)) > 1000, f"gRPC is told when to come back: {fields}")

# One that is given up is 499; others go on.
slow = client.ask("/slow?gone")
while not any(target == "/slow?gone" for _, target, _ in endpoint.seen):
    time.sleep(0.01)
client.h2.reset_stream(slow, h2.errors.ErrorCodes.CANCEL)
expect(client.answer(client.ask("/a"))[0] == 200, "a reset disturbs nobody")
record = logged("/slow")
expect(record and record[0]["status"] == 499 and record[0]["reason"] == "downstream.closed", f"a reset is a 499: {record}")

# An endpoint that takes its time, and a client that opens no window, stop nobody.
slow = client.ask("/slow?waits")
for _ in range(20):
    expect(client.answer(client.ask("/a"))[0] == 200, "others pass a slow one")
release_slow.set()
expect(client.answer(slow)[0] == 200, "the slow one is answered in the end")
still = Client(window=0)
waiting = still.ask("/big")
for _ in range(3):
    expect(client.answer(client.ask("/a"))[0] == 200, "others pass one without a window")
still.h2.increment_flow_control_window(len(big), waiting)
still.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20})
still.flush()
expect(still.answer(waiting)[2] == big, "a window that opens late")

# A hundred at once.
streams = [client.ask(f"/many?{number}") for number in range(100)]
expect(all(json.loads(client.answer(stream)[2])["target"] == f"/many?{number}" for number, stream in enumerate(streams)),
       "a hundred streams get their own answers")

# --- what means no good ----------------------------------------------------------------------------------------------------

for what, fields in [("transfer-encoding", [("transfer-encoding", "chunked")]), ("connection", [("connection", "close")]),
                     ("a line in a value", [("x", "a\r\nhost: other")]), ("another host", [("host", "other")])]:
    bad = Client()
    status, _, body, _ = bad.answer(bad.ask("/a", fields=fields))
    expect(status == 400 and b"code" in body, f"{what}: {status} {body}")
before = metric("gateway_http2_abuse_total")
rapid = Client()
for _ in range(1000):
    try:
        rapid.h2.reset_stream(rapid.ask("/a"), h2.errors.ErrorCodes.CANCEL)
    except h2.exceptions.ProtocolError:
        break
    rapid.flush()
    if not rapid.open:
        break
gone = rapid.wait(h2.events.ConnectionTerminated)
expect(gone is not None and gone.error_code == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM or not rapid.open, f"rapid reset: {gone}")
expect(metric("gateway_http2_abuse_total") == before + 1, "rapid reset is counted")
expect(client.answer(client.ask("/a"))[0] == 200, "others do not suffer")

# --- the end ---------------------------------------------------------------------------------------------------------------

release_slow.clear()
last = client.ask("/slow?last")
while not any(target == "/slow?last" for _, target, _ in endpoint.seen):
    time.sleep(0.01)
gateway.send_signal(signal.SIGTERM)
# By hand: for Python's h2 a connection is over with its first GOAWAY.
raw, goaways, body = b"", [], b""
while True:
    data = client.socket.recv(65536)
    raw += data
    while len(raw) >= 9 and len(raw) >= 9 + int.from_bytes(raw[:3], "big"):
        size, kind, flags, stream = int.from_bytes(raw[:3], "big"), raw[3], raw[4], int.from_bytes(raw[5:9], "big")
        payload, raw = raw[9:9 + size], raw[9 + size:]
        if kind == 6 and not flags & 1:
            client.socket.sendall(b"\0\0\x08\x06\x01\0\0\0\0" + payload)
        elif kind == 7:
            goaways.append((int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")))
            if goaways[-1][0] != 0x7fffffff:
                release_slow.set()
        elif kind == 0 and stream == last:
            body += payload
    if not data:
        break
expect(goaways == [(0x7fffffff, 0), (last, 0)], f"a drain says so twice: {goaways}")
expect(body == b"ok", f"a stream in flight is finished: {body}")
expect(gateway.wait(30) == 0, "and the gateway ends well")
print("failures:", failures)
sys.exit(1 if failures else 0)
