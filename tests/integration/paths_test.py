# Thousands of spellings of a protected path, through the gateway to endpoints that decode, merge and normalise: none reaches
# the protected prefix without what its route asks for, and ordinary paths arrive. The endpoints are nginx, a WSGI application,
# and one that cuts parameters off as servlet containers do.
# usage: paths_test.py PATH_TO_SLUICE
import atexit
import base64
import hashlib
import hmac
import http.server
import itertools
import json
import os
import posixpath
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sluice = sys.argv[1]
folder = tempfile.mkdtemp()
atexit.register(shutil.rmtree, folder, True)
secret = "a secret of the tests that is long enough even for HS512, as the RFC wants it"
failures = 0


def expect(good, what):
    global failures
    if not good:
        failures += 1
        if failures <= 20:
            print("FAILED:", what)


def start(arguments, **options):
    process = subprocess.Popen(arguments, **options)
    # Asked to end, not killed: what it has started itself ends with it.
    atexit.register(lambda: process.poll() is None and (process.terminate(), process.wait(30)))
    return process


# --- endpoints: each answers ADMIN where it believes to be asked for something below /admin --------------------------------


def is_admin(path):
    return path == "/admin" or path.startswith("/admin/")


def decoded(target):
    path = urllib.parse.unquote(target.split("?")[0], "latin-1").replace("\\", "/")
    return re.sub("/+", "/", posixpath.normpath(path))


def without_parameters(target):
    return decoded(re.sub(";[^/]*", "", target.split("?")[0]))


def scheme_relative(target):  # what urlsplit takes for the path
    return decoded(urllib.parse.urlsplit(target).path or "/")


class Handler(http.server.BaseHTTPRequestHandler):  # PATH_INFO of WSGI is the decoded path
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        target = self.raw_requestline.split(b" ")[1].decode("latin-1")
        believes = {"decoded": decoded(target), "parameters": without_parameters(target), "relative": scheme_relative(target)}
        body = (" ".join(name for name, path in believes.items() if is_admin(path)) or "public").encode()
        body = (b"ADMIN " + body if body != b"public" else body) + b" " + target.encode("latin-1")
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=application.serve_forever, daemon=True).start()

temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
with open(f"{folder}/nginx.conf", "w") as file:
    file.write(f"""daemon off; worker_processes 1; error_log {folder}/error; pid {folder}/pid; events {{ worker_connections 256; }}
http {{ access_log off; keepalive_requests 1000000; {temporary}
  server {{ listen unix:{folder}/nginx.sock;
    location = /admin {{ return 200 "ADMIN $request_uri"; }}
    location /admin/ {{ return 200 "ADMIN $request_uri"; }}
    location / {{ return 200 "public $request_uri"; }} }} }}
""")
nginx = start([shutil.which("nginx") or "/usr/sbin/nginx", "-c", f"{folder}/nginx.conf"], stderr=subprocess.DEVNULL)
while not os.path.exists(f"{folder}/nginx.sock"):
    assert nginx.poll() is None, "nginx ended"
    os.sched_yield()

# --- the gateway --------------------------------------------------------------------------------------------------------


def gateway(endpoint):
    path = f"{folder}/sluice.yaml"
    with open(path, "w") as file:
        file.write(f"""
listen: 127.0.0.1:0
log: {folder}/log
auth: {{ partner: {{ secret: {{ env: JWT_SECRET }} }} }}
upstreams: {{ service: {{ endpoints: ["{endpoint}"] }} }}
routes:
  - {{ match: {{ path_prefix: /public }}, auth: none, upstream: service }}
  - {{ match: {{ path_prefix: /files }}, auth: none, path: {{ encoded_slash: keep, merge_slashes: false }}, upstream: service }}
  - {{ match: {{ path_prefix: /cut }}, auth: none, rewrite: {{ strip_prefix: /cut, add_prefix: /public }}, upstream: service }}
  - {{ match: {{ path_prefix: /admin }}, auth: partner, require: {{ scope: [admin] }}, upstream: service }}
  - {{ auth: partner, upstream: service }}
""")
    process = start([sluice, "run", "--config", path, "--cores", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                    env=dict(os.environ, JWT_SECRET=secret))
    while True:
        line = process.stderr.readline()
        assert line, "the gateway ended early"
        if found := re.search(r"127\.0\.0\.1:(\d+)", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, int(found.group(1))


def token(claims):
    encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    text = encode(b'{"alg":"HS256"}') + "." + encode(json.dumps(claims).encode())
    return text + "." + encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


class Client:
    """One connection after another; every answer says its length."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def ask(self, target, fields=""):
        while True:
            fresh = self.socket is None
            if fresh:
                self.socket = socket.create_connection(("127.0.0.1", self.port), 30)
                self.file = self.socket.makefile("rb")
            self.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: api.test\r\n{fields}\r\n".encode("latin-1"))
            line = self.file.readline()
            if line or fresh:
                break
            self.close()
        length, closes = 0, False
        while (field := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = field.decode("latin-1").partition(":")
            length = int(value) if name.lower() == "content-length" else length
            closes = closes or (name.lower() == "connection" and "close" in value)
        body = self.file.read(length).decode("latin-1")
        if closes:
            self.close()
        return int(line.split()[1]), body

    def close(self):
        self.file.close()
        self.socket.close()
        self.socket = None


# --- targets ------------------------------------------------------------------------------------------------------------

slashes = ["/", "//", "///", "%2f", "%2F", "%5c", "/%2f", "%2f/", "%252f", "%c0%af", "%e0%80%af", ";/", "/;x/", "/./", "/%2e/"]
climbs = ["..", "%2e%2e", ".%2e", "%2E.", "..;", "..;x=1", "%2e%2e%3b", "%252e%252e", "%c0%ae%c0%ae", "..%00", "..%20", "x/../.."]
admins = ["admin", "%61dmin", "%61%64%6d%69%6e", "admin;x", "admin;", "./admin", "x/../admin", "%2e/admin", "admin%00", "admin%3b"]
starts = ["/public", "/public/", "/cut", "/files", "/files/x", "/public/a;b", "//public", "/./public", "/public%2fx", ""]


def targets():
    for slash, admin, tail in itertools.product(slashes, admins, ["/x", "", "%2fx", "//x", ";y/x", "/..;/admin/x", "%5cx"]):
        yield (slash if slash.startswith("/") else "/" + slash) + admin + tail
    for begin, one, climb, two, admin in itertools.product(starts, slashes, climbs, slashes, admins[:5]):
        target = begin + one + climb + two + admin + "/x"
        # A sample that is the same each time.
        if target.startswith("/") and hashlib.sha256(target.encode()).digest()[0] < 40:
            yield target
    for host in ("http://api.test", "http://api.test/", "HTTP://api.test//"):
        for admin in admins:
            yield f"{host}/{admin}/x"


everything = list(dict.fromkeys(targets()))
user = f"Authorization: Bearer {token({'exp': int(time.time()) + 3600, 'sub': 'user'})}\r\n"
chief = f"Authorization: Bearer {token({'exp': int(time.time()) + 3600, 'sub': 'chief', 'scope': 'admin'})}\r\n"
expect(len(everything) > 5000, f"only {len(everything)} targets")

for name, endpoint in (("nginx", f"unix:{folder}/nginx.sock"), ("application", f"http://127.0.0.1:{application.server_port}")):
    process, port = gateway(endpoint)
    client = Client(port)
    # Who may, arrives; and the endpoint is one that can be fooled.
    expect(client.ask("/admin/x", chief)[1].startswith("ADMIN"), f"{name}: with the right token")
    for target in ("/public/a/b?c=//%2f..", "/public/a%20b;v=1", "/files/a%2fb//c", "/cut/x", "/public/caf%C3%A9"):
        status, body = client.ask(target)
        expect(status == 200 and body.startswith("public"), f"{name}: {target} is {status} {body}")
    expect(client.ask("/files/a%2fb//c")[1].endswith(" /files/a%2Fb//c"), f"{name}: kept as it came")
    reached = {200: 0, 400: 0}
    for target in everything:
        for fields in ("", user):
            status, body = client.ask(target, fields)
            reached[status] = reached.get(status, 0) + 1
            expect(not body.startswith("ADMIN"), f"{name}: {target} with {'a token' if fields else 'nothing'} is {body}")
    print(f"{name}: {len(everything)} targets twice:", dict(sorted(reached.items())))
    process.send_signal(signal.SIGTERM)
    expect(process.wait(60) == 0, f"{name}: the end")

sys.exit(1 if failures else 0)
