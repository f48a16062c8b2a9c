#!/usr/bin/python3
"""TLS over real sockets, on both sides: other implementations (curl, openssl s_client, Python's ssl), what breaks off at every
step, what comes to the wrong port, certificates that change, and endpoints that are believed or not.

usage: tls_test.py PATH_TO_SLUICE
"""
import http.client
import http.server
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SLUICE = os.path.abspath(sys.argv.pop(1))
FOLDER = tempfile.mkdtemp()
CERTIFICATES = f"{FOLDER}/certificates"


def until(is_so, what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = is_so()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s for: {what}")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=CERTIFICATES)


def issue(name, sans="", key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), issuer="ca", days=30, subject=None):
    """NAME.pem (with its issuer behind it) and NAME.key."""
    with open(f"{CERTIFICATES}/{name}.ext", "w") as file:
        file.write("basicConstraints=CA:FALSE\n" + (f"subjectAltName={sans}\n" if sans else ""))
    openssl("req", "-newkey", *key, "-nodes", "-keyout", f"{name}.key", "-subj", subject or f"/CN={name}", "-out", f"{name}.csr")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial",
            "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.crt")
    with open(f"{CERTIFICATES}/{name}.pem", "w") as chain:
        chain.write(open(f"{CERTIFICATES}/{name}.crt").read() + open(f"{CERTIFICATES}/{issuer}.pem").read())
    os.chmod(f"{CERTIFICATES}/{name}.key", 0o600)


def setUpModule():
    os.mkdir(CERTIFICATES)
    for name in ("ca", "other-ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                "-out", f"{name}.pem", "-days", "30", "-subj", f"/CN={name}")
    issue("api", "DNS:api.example,DNS:localhost,DNS:*.wild.example")
    issue("rsa", "DNS:api.example,DNS:localhost", key=("rsa:2048",))
    issue("shop", "DNS:shop.example")
    issue("client", subject="/O=Example/CN=billing")
    issue("stranger", issuer="other-ca")
    issue("origin", "DNS:origin.example,IP:127.0.0.1")


def tearDownModule():
    shutil.rmtree(FOLDER)


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def answer(self, body, **fields):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.flush()
            while data := self.rfile.read1(65536):
                self.wfile.write(data)
                self.wfile.flush()
            self.close_connection = True
            return
        if self.path.startswith("/bytes/"):
            self.answer(b"x" * int(self.path.rsplit("/", 1)[1]))
        elif self.path == "/until-close":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"as long as it lasts")
            self.close_connection = True
        else:
            self.answer(json.dumps({name.lower(): value for name, value in self.headers.items()}).encode())

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        taken = 0
        while taken < size:
            taken += len(self.rfile.read(min(65536, size - taken)))
        self.answer(str(taken).encode())

    def log_message(self, *_):
        pass


def origin(context=None):
    """Its port; with a context it speaks TLS."""
    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def get_request(self):
            connection, address = super().get_request()
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            return connection, address

        def handle_error(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Origin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Gateway:
    def __init__(self, test, config, name="gateway"):
        self.test = test
        self.folder = tempfile.mkdtemp(dir=FOLDER)
        self.path = f"{self.folder}/{name}.yaml"
        self.write(config)
        self.errors = open(f"{self.folder}/stderr", "w+")
        self.process = subprocess.Popen([SLUICE, "run", "--config", self.path], stderr=self.errors, stdout=subprocess.DEVNULL,
                                        cwd=CERTIFICATES)
        test.addCleanup(self.stop)
        line = until(lambda: re.search("listening on (.*) with", self.said()) or self.process.poll() is not None, "it listens")
        if line is True:
            raise AssertionError(f"it does not start: {self.said()}")
        self.ports = [int(re.search(r":(\d+)", line.group(1)).group(1)), int(re.search(r"127.0.0.2:(\d+)", config).group(1))]
        self.port = self.ports[0]

    def write(self, config):
        with open(self.path, "w") as file:
            file.write(config.replace("@log", f"{self.folder}/log"))

    def said(self):
        with open(f"{self.folder}/stderr") as file:
            return file.read()

    def log(self):
        with open(f"{self.folder}/log") as file:
            return [json.loads(line) for line in file]

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.2", self.ports[1], timeout=20)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.test.assertEqual(self.process.wait(40), 0, self.said())
            finally:
                if self.process.poll() is None:
                    self.process.kill()


def client_context(**options):
    context = ssl.create_default_context(cafile=f"{CERTIFICATES}/ca.pem")
    for name, value in options.items():
        setattr(context, name, value)
    return context


def connect(port, name="api.example", context=None, address="127.0.0.1", **options):
    plain = socket.create_connection((address, port), timeout=20)
    return (context or client_context(**options)).wrap_socket(plain, server_hostname=name)


def ask(connection, path="/", host="api.example", method="GET", body=b"", fields=""):
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}{fields}\r\n".encode() + body)
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}


V12 = dict(maximum_version=ssl.TLSVersion.TLSv1_2)
V13 = dict(minimum_version=ssl.TLSVersion.TLSv1_3)

PLAIN = """
listen:
  - {{ address: 127.0.0.1:0, tls: {{ certificates: [{{ chain: api.pem, key: api.key }}, {{ chain: rsa.pem, key: rsa.key }}, {{ chain: shop.pem, key: shop.key }}]{more} }}{listener} }}
  - {{ address: "127.0.0.2:{plain}"{second} }}
workers: {{ cores: 1 }}
log: "@log"
upstreams: {{ origin: {{ endpoints: [{scheme}://127.0.0.1:{port}]{upstream} }} }}
routes: [{{ auth: none, upstream: origin, max_body: 64MiB{route} }}]
"""


def config(port, **parts):
    given = dict(more="", listener="", second="", scheme="http", upstream="", route="")
    given.update(parts)
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))
        given["plain"] = probe.getsockname()[1]
    return PLAIN.format(port=port, **given)


class Downstream(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.origin = origin()

    def gateway(self, **parts):
        return Gateway(self, config(self.origin, **parts))

    def test_other_implementations_are_served(self):
        gateway = self.gateway()
        for flags in (["--tls-max", "1.2"], ["--tlsv1.3"]):
            got = subprocess.run(["curl", "-sS", "--cacert", f"{CERTIFICATES}/ca.pem", "--resolve", f"api.example:{gateway.port}:127.0.0.1",
                                  *flags, f"https://api.example:{gateway.port}/bytes/3", f"https://api.example:{gateway.port}/bytes/4"],
                                 capture_output=True, text=True)
            self.assertEqual((got.stdout, got.returncode), ("xxxxxxx", 0), got.stderr)
        for version in ("-tls1_2", "-tls1_3"):
            got = subprocess.run(["openssl", "s_client", version, "-connect", f"127.0.0.1:{gateway.port}", "-servername", "api.example",
                                  "-CAfile", f"{CERTIFICATES}/ca.pem", "-verify_return_error", "-ign_eof", "-quiet"],
                                 input="GET /bytes/5 HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n", capture_output=True, text=True)
            self.assertIn("xxxxx", got.stdout, got.stderr)
        for version in (V12, V13):
            with connect(gateway.port, **version) as connection:
                for _ in range(5):
                    status, body, _ = ask(connection)
                    self.assertEqual(status, 200)
                seen = json.loads(body)
                self.assertEqual(seen["x-forwarded-proto"], "https")
                self.assertEqual(seen["x-forwarded-port"], "443")
        line = until(lambda: [line for line in gateway.log() if line.get("tls_version") == "TLSv1.3"], "it is in the log")[-1]
        self.assertEqual(line["sni"], "api.example")
        self.assertIn("AES", line["tls_cipher"])
        metrics = gateway.metrics()
        self.assertGreater(metrics['gateway_tls_handshakes_total{side="downstream",version="TLSv1.3"}'], 2)
        self.assertGreater(metrics['gateway_certificate_not_after_seconds{name="api.example",key="ECDSA"}'], time.time())
        self.assertEqual(metrics["gateway_tls_handshaking"], 0)

    def test_large_bodies_go_both_ways(self):
        gateway = self.gateway()
        for version in (V12, V13):
            with connect(gateway.port, **version) as connection:
                status, body, _ = ask(connection, "/bytes/20000000")
                self.assertEqual((status, len(body)), (200, 20_000_000))
                status, body, _ = ask(connection, method="POST", body=b"y" * 20_000_000)
                self.assertEqual((status, body), (200, b"20000000"))
                status, body, _ = ask(connection, "/until-close")
                self.assertEqual((status, body), (200, b"as long as it lasts"))

    def test_slow_readers_get_all_of_it(self):
        gateway = self.gateway()
        with connect(gateway.port) as connection:
            connection.sendall(b"GET /bytes/8000000 HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n")
            got = 0
            while data := connection.recv(50_000):
                got += len(data)
                if got < 1_000_000:
                    select.select([], [], [], 0.005)
            self.assertGreater(got, 8_000_000)

    def test_tunnels_pass_bytes_both_ways(self):
        gateway = self.gateway()
        with connect(gateway.port) as connection:
            connection.sendall(b"GET /chat HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                               b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n")
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            self.assertIn(b"101", head.split(b"\r\n")[0])
            for size in (1, 1000, 300_000):
                sent = os.urandom(size)
                writer = threading.Thread(target=connection.sendall, args=(sent,))
                writer.start()
                got = b""
                while len(got) < size:
                    got += connection.recv(65536)
                writer.join()
                self.assertEqual(got, sent)

    def test_sessions_are_resumed(self):
        gateway = self.gateway()
        for version in (V12, V13):
            context = client_context(**version)
            with connect(gateway.port, context=context) as connection:
                ask(connection)
                session = connection.session
            plain = socket.create_connection(("127.0.0.1", gateway.port))
            with context.wrap_socket(plain, server_hostname="api.example", session=session) as connection:
                self.assertEqual(ask(connection)[0], 200)
                self.assertTrue(connection.session_reused)
        self.assertEqual(gateway.metrics()['gateway_tls_resumed_total{side="downstream"}'], 2)

    def test_names_choose_the_certificate(self):
        gateway = self.gateway()
        def name_of(asked):
            context = client_context(check_hostname=False)
            with connect(gateway.port, asked, context=context) as connection:
                return connection.getpeercert()["subjectAltName"][0][1]
        self.assertEqual(name_of("shop.example"), "shop.example")
        self.assertEqual(name_of("a.wild.example"), "api.example")
        self.assertEqual(name_of("nobody.example"), "api.example")
        strict = self.gateway(more=", strict_sni: true")
        with self.assertRaises(ssl.SSLError):
            connect(strict.port, "nobody.example", check_hostname=False)
        until(lambda: any(line["reason"] == "tls.unknown_name" for line in strict.log()), "it is in the log")

    def test_what_comes_to_the_wrong_port_is_told(self):
        gateway = self.gateway()
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")
            answer = b""
            while data := plain.recv(4096):
                answer += data
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertIn(b"https://", answer)
        with self.assertRaises((ssl.SSLError, OSError)):
            connect(gateway.ports[1], address="127.0.0.2")
        until(lambda: {"tls.plain_request", "tls.on_plain_port"} <= {line["reason"] for line in gateway.log()}, "both are in the log")
        self.assertEqual(gateway.metrics()['gateway_tls_handshake_failures_total{side="downstream",reason="plain_request"}'], 1)

    def test_old_versions_and_protocols_are_refused_by_name(self):
        gateway = self.gateway(more=", policy: modern")
        with self.assertRaises(ssl.SSLError):
            connect(gateway.port, **V12)
        context = client_context()
        context.set_alpn_protocols(["spdy/3"])
        with self.assertRaises(ssl.SSLError):
            connect(gateway.port, context=context)
        metrics = gateway.metrics()
        for reason in ("version", "protocol"):
            self.assertEqual(metrics[f'gateway_tls_handshake_failures_total{{side="downstream",reason="{reason}"}}'], 1, reason)

    def test_http2_is_agreed_on_or_not_spoken(self):
        def version(gateway, *flags):
            answer = subprocess.run(["curl", "-sk", "-o", "/dev/null", "-w", "%{http_version} %{response_code}", *flags,
                                     f"https://127.0.0.1:{gateway.port}/"], capture_output=True, text=True, timeout=60)
            return answer.stdout

        gateway = self.gateway()
        self.assertEqual(version(gateway, "--http2"), "2 200")
        self.assertEqual(version(gateway, "--http1.1"), "1.1 200")
        # Who agreed on HTTP/1.1 and speaks HTTP/2 is refused as any other nonsense of HTTP/1.1.
        context = client_context()
        context.set_alpn_protocols(["http/1.1"])
        with connect(gateway.port, context=context) as client:
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            self.assertIn(b" 505 ", client.recv(4096).split(b"\r\n")[0] + b" ")
        self.assertEqual(version(self.gateway(more=", alpn: [http/1.1]"), "--http2"), "1.1 200")

    def test_half_hellos_and_aborted_handshakes_leave_nothing(self):
        gateway = self.gateway()
        waiting = []
        context = client_context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        shaking = context.wrap_bio(incoming, outgoing, server_hostname="api.example")
        with self.assertRaises(ssl.SSLWantReadError):
            shaking.do_handshake()
        hello = outgoing.read()
        for cut in [*range(1, len(hello), 7), len(hello)]:
            half = socket.create_connection(("127.0.0.1", gateway.port))
            half.sendall(hello[:cut])
            waiting.append(half)
        until(lambda: gateway.metrics()["gateway_tls_handshaking"] == len(waiting), "all of them wait")
        with connect(gateway.port) as connection:
            self.assertEqual(ask(connection)[0], 200)
        for index, half in enumerate(waiting):
            if index % 2:
                half.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            half.close()
        until(lambda: gateway.metrics()["gateway_tls_handshaking"] == 0, "none is left")
        # Byte by byte it is a handshake as any other.
        slow = socket.create_connection(("127.0.0.1", gateway.port))
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        shaking = context.wrap_bio(incoming, outgoing, server_hostname="api.example")
        for _ in range(3):
            try:
                shaking.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    slow.sendall(bytes([byte]))
                incoming.write(slow.recv(65536))
        for byte in outgoing.read():
            slow.sendall(bytes([byte]))
        shaking.write(b"GET /bytes/3 HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n")
        slow.sendall(outgoing.read())
        answer = b""
        while data := slow.recv(65536):
            incoming.write(data)
        while data := shaking.read(65536):
            answer += data
        self.assertIn(b"200", answer)
        slow.close()

    def test_a_handshake_has_a_deadline(self):
        text = config(self.origin).replace("workers:", "timeouts: { head: 1s }\nworkers:")
        gateway = Gateway(self, text)
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as silent:
            self.assertEqual(silent.recv(1), b"")
        until(lambda: any(line["reason"] == "tls.timed_out" for line in gateway.log()), "it is in the log")

    def test_an_end_that_is_not_said_ends_nothing_early(self):
        gateway = self.gateway()
        connection = connect(gateway.port)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 1000\r\n\r\nhalf")
        raw = socket.socket(fileno=connection.detach())
        raw.shutdown(socket.SHUT_WR)  # FIN without close_notify
        self.addCleanup(raw.close)
        until(lambda: any(line["status"] in (0, 499) and line["method"] == "POST" for line in gateway.log()), "the request is given up")
        idle = connect(gateway.port)
        ask(idle)
        raw = socket.socket(fileno=idle.detach())
        raw.shutdown(socket.SHUT_WR)
        self.addCleanup(raw.close)
        until(lambda: gateway.metrics()['gateway_tls_truncated_total{side="downstream"}'] == 1, "it is counted")

    def test_proxy_protocol_comes_before_tls(self):
        text = config(self.origin, listener=", proxy_protocol: true").replace("workers:", "trusted: [127.0.0.1]\nworkers:")
        gateway = Gateway(self, text)
        for cut in (None, 10, 60):
            plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            shaking = client_context().wrap_bio(incoming, outgoing, server_hostname="api.example")
            first = b"PROXY TCP4 192.0.2.7 192.0.2.1 1000 443\r\n"
            while True:
                try:
                    shaking.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    data = first + outgoing.read()
                    first = b""
                    for part in ([data] if cut is None else [data[:cut], data[cut:]]):
                        plain.sendall(part)
                    incoming.write(plain.recv(65536))
            shaking.write(b"GET / HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n")
            plain.sendall(outgoing.read())
            answer = b""
            while data := plain.recv(65536):
                incoming.write(data)
            try:
                while data := shaking.read(65536):
                    answer += data
            except ssl.SSLError:
                pass
            self.assertIn(b"192.0.2.7", answer)
            plain.close()

    def test_plain_listeners_lead_to_https(self):
        gateway = self.gateway(second=", redirect_to_https: true", listener=", hsts: { max_age: 2d }")
        with socket.create_connection(("127.0.0.2", gateway.ports[1]), timeout=10) as plain:
            status, _, fields = ask(plain, "/a?b=c", host="api.example:8080")
            self.assertEqual((status, fields["location"]), (308, "https://api.example:0/a?b=c"))
            self.assertEqual(ask(plain, "/health")[0], 200)
        with connect(gateway.port) as connection:
            _, _, fields = ask(connection)
            self.assertEqual(fields["strict-transport-security"], "max-age=172800")
            _, _, fields = ask(connection, "/health")
            self.assertEqual(fields["strict-transport-security"], "max-age=172800")
        without = self.gateway(listener=", hsts: true", route=", hsts: false")
        with connect(without.port) as connection:
            self.assertNotIn("strict-transport-security", ask(connection)[2])

    def test_clients_show_certificates(self):
        required = self.gateway(more=", client: { verify: required, ca: ca.pem }")
        context = client_context(**V12)
        with self.assertRaises(ssl.SSLError):
            connect(required.port, context=context)
        for name, is_good in (("client", True), ("stranger", False)):
            for version in (V12, V13):
                context = client_context(**version)
                context.load_cert_chain(f"{CERTIFICATES}/{name}.crt", f"{CERTIFICATES}/{name}.key")
                def outcome():
                    with connect(required.port, context=context) as connection:
                        return ask(connection)[0]
                if is_good:
                    self.assertEqual(outcome(), 200)
                else:
                    with self.assertRaises((ssl.SSLError, OSError, http.client.HTTPException)):
                        outcome()
        metrics = required.metrics()
        for reason, count in (("certificate_missing", 1), ("certificate_unknown", 2)):
            self.assertEqual(metrics[f'gateway_tls_handshake_failures_total{{side="downstream",reason="{reason}"}}'], count, reason)
        # Whom a client has shown its certificate to is not somebody else.
        context = client_context()
        context.load_cert_chain(f"{CERTIFICATES}/client.crt", f"{CERTIFICATES}/client.key")
        with connect(required.port, context=context) as connection:
            self.assertEqual(ask(connection)[0], 200)
            self.assertEqual(ask(connection, host="shop.example")[0], 421)
            self.assertEqual(ask(connection, host="other.wild.example")[0], 200)

    def test_certificates_change_under_connections(self):
        issue("changing", "DNS:api.example,DNS:localhost")
        text = config(self.origin).replace("chain: api.pem, key: api.key", "chain: changing.pem, key: changing.key")
        gateway = Gateway(self, text)
        def serial():
            with connect(gateway.port) as connection:
                return connection.getpeercert()["serialNumber"]
        kept = connect(gateway.port)
        ask(kept)
        before = serial()
        issue("changing", "DNS:api.example,DNS:localhost")
        until(lambda: serial() != before, "the new one is shown")
        self.assertEqual(ask(kept)[0], 200)
        renewed = serial()
        with open(f"{CERTIFICATES}/changing.key", "w") as file:
            file.write(open(f"{CERTIFICATES}/shop.key").read())
        until(lambda: "does not match the certificate of changing.pem" in gateway.said(), "it says why")
        self.assertEqual(serial(), renewed)
        self.assertEqual(ask(kept)[0], 200)
        kept.close()

    def test_a_reload_and_a_drain_leave_requests_alone(self):
        gateway = self.gateway()
        kept = connect(gateway.port)
        ask(kept)
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "the new configuration is in use" in gateway.said(), "the reload")
        self.assertEqual(ask(kept)[0], 200)
        kept.sendall(b"POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 4\r\n\r\nab")
        until(lambda: gateway.metrics()["gateway_requests_in_flight"] >= 2, "it is under way")
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: "draining" in gateway.said(), "the drain")
        kept.sendall(b"cd")
        response = http.client.HTTPResponse(kept)
        response.begin()
        self.assertEqual((response.status, response.read()), (200, b"4"))
        self.assertEqual(kept.recv(10), b"")
        self.assertEqual(gateway.process.wait(30), 0, gateway.said())


class Upstream(unittest.TestCase):
    def test_endpoints_are_believed_or_not(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{CERTIFICATES}/origin.pem", f"{CERTIFICATES}/origin.key")
        port = origin(context)
        def status(upstream, host=None):
            text = config(port, scheme="https", upstream=upstream)
            gateway = Gateway(self, text)
            with connect(gateway.port) as connection:
                statuses = [ask(connection)[0] for _ in range(3)]
            return statuses, gateway
        statuses, gateway = status(", tls: { ca: ca.pem }, timeouts: { idle: 0 }")
        self.assertEqual(statuses, [200] * 3)
        metrics = gateway.metrics()
        self.assertEqual(metrics['gateway_tls_handshakes_total{side="upstream",version="TLSv1.3"}'], 3)
        self.assertEqual(metrics['gateway_tls_resumed_total{side="upstream"}'], 2)
        self.assertEqual(status(", tls: { ca: ca.pem, name: origin.example }")[0], [200] * 3)
        statuses, gateway = status(", tls: { ca: ca.pem, name: other.example }, eject: none")
        self.assertEqual(statuses, [502] * 3)
        until(lambda: any(line["reason"] == "upstream.tls" for line in gateway.log()), "it is in the log")
        self.assertGreater(gateway.metrics()['gateway_tls_handshake_failures_total{side="upstream",reason="certificate_name"}'], 2)
        self.assertEqual(status(", tls: { ca: other-ca.pem }, eject: none")[0], [502] * 3)
        self.assertEqual(status("")[0], [502] * 3)
        statuses, gateway = status(", tls: { verify: none }")
        self.assertEqual(statuses, [200] * 3)
        self.assertIn("verify: none believes whoever answers", gateway.said())

    def test_health_checks_believe_whom_requests_believe(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{CERTIFICATES}/origin.pem", f"{CERTIFICATES}/origin.key")
        port = origin(context)
        for name, expected in (("origin.example", 200), ("other.example", 503)):
            gateway = Gateway(self, config(port, scheme="https", upstream=f", tls: {{ ca: ca.pem, name: {name} }}, health: {{ path: / }}"))
            with connect(gateway.port) as connection:
                self.assertEqual(ask(connection)[0], expected, name)

    def test_it_shows_a_certificate_and_moves_large_bodies(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{CERTIFICATES}/origin.pem", f"{CERTIFICATES}/origin.key")
            context.load_verify_locations(f"{CERTIFICATES}/ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
            context.minimum_version = context.maximum_version = version
            gateway = Gateway(self, config(origin(context), scheme="https",
                                           upstream=", tls: { ca: ca.pem, certificate: { chain: client.pem, key: client.key } }"))
            with connect(gateway.port) as connection:
                status, body, _ = ask(connection, "/bytes/5000000")
                self.assertEqual((status, len(body)), (200, 5_000_000))
                self.assertEqual(ask(connection, method="POST", body=b"z" * 5_000_000)[1], b"5000000")
                self.assertEqual(ask(connection)[0], 200)

    def test_a_cut_answer_is_not_a_whole_one(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{CERTIFICATES}/origin.pem", f"{CERTIFICATES}/origin.key")
        listener = socket.create_server(("127.0.0.1", 0))
        def serve():
            for _ in range(2):
                connection = context.wrap_socket(listener.accept()[0], server_side=True)
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf of what there was")
                os.close(connection.detach())  # no close_notify
        threading.Thread(target=serve, daemon=True).start()
        gateway = Gateway(self, config(listener.getsockname()[1], scheme="https", upstream=", tls: { ca: ca.pem }, eject: none"))
        with connect(gateway.port) as connection, self.assertRaises((http.client.IncompleteRead, OSError)):
            ask(connection)
        listener.close()


if __name__ == "__main__":
    unittest.main()
