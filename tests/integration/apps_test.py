"""What applications believe of a request that came through the gateway: a WSGI application, one of node's, one of PHP's. From a
trusted proxy they learn what it says; from anybody else only what is true, whatever spelling the fields had."""
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SLUICE = sys.argv.pop(1)
HERE = os.path.dirname(os.path.abspath(__file__))
PROXY, STRANGER = "127.0.0.1", "127.0.0.2"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port, process):
    begun = time.monotonic()
    while time.monotonic() < begun + 60:
        if process.poll() is not None:
            raise AssertionError(f"{process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"{process.args[0]} does not listen")


class Applications(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.processes = []
        cls.folder = tempfile.mkdtemp()
        node = shutil.which("node") or shutil.which("nodejs")
        php = shutil.which("php")
        cls.ports = {"wsgi": free_port(), "node": free_port(), "php": free_port()}
        commands = {
            "wsgi": ["/usr/bin/python3", f"{HERE}/apps/app.py", str(cls.ports["wsgi"])],
            "node": [node, f"{HERE}/apps/app.js", str(cls.ports["node"])],
            "php": [php, "-q", "-S", f"127.0.0.1:{cls.ports['php']}", f"{HERE}/apps/app.php"],
        }
        for name, command in commands.items():
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            cls.processes.append(process)
            wait_for(cls.ports[name], process)
        cls.port = free_port()
        with open(f"{cls.folder}/sluice.yaml", "w") as file:
            file.write(f"listen: 127.0.0.1:{cls.port}\ntrusted: {PROXY}\nworkers: {{ cores: 1 }}\nlog: none\nupstreams:\n")
            for name, port in cls.ports.items():
                file.write(f"  {name}: {{ endpoints: [http://127.0.0.1:{port}] }}\n")
            file.write("routes:\n")
            for name in cls.ports:
                file.write(f"  - {{ match: {{ path_prefix: /{name} }}, auth: none, upstream: {name} }}\n"
                           f"  - {{ match: {{ path_prefix: /cut/{name} }}, auth: none, upstream: {name}, "
                           f"rewrite: {{ strip_prefix: /cut }} }}\n")
        gateway = subprocess.Popen([SLUICE, "run", "--config", f"{cls.folder}/sluice.yaml"])
        cls.processes.append(gateway)
        wait_for(cls.port, gateway)

    @classmethod
    def tearDownClass(cls):
        for process in reversed(cls.processes):
            process.terminate()
            process.wait(30)
        shutil.rmtree(cls.folder)

    def ask(self, path, source, fields=(), method="GET", body=None, chunked=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=(source, 0))
        connection.putrequest(method, path, skip_host=True)
        for name, value in [("Host", "shop.example"), *fields]:
            connection.putheader(name, value)
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        if chunked:
            connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        elif body is not None:
            connection.send(body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        self.assertEqual(answer.status, 200, text)
        return json.loads(text)

    def each(self):
        for name in self.ports:
            with self.subTest(application=name):
                yield name

    def test_strangers_are_taken_for_what_they_are(self):
        lies = [("X-Forwarded-For", "203.0.113.66"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"),
                ("X-Forwarded-Port", "444"), ("X-Forwarded-Prefix", "/evil"), ("X_Forwarded_For", "203.0.113.67"),
                ("X_Forwarded-Host", "evil.example"), ("x-forwarded_proto", "https"), ("Forwarded", "for=203.0.113.68")]
        for name in self.each():
            believes = self.ask(f"/{name}/x?a=1", STRANGER, lies)
            self.assertEqual((believes["scheme"], believes["host"], believes["client"], believes["port"], believes["prefix"]),
                             ("http", "shop.example", STRANGER, "80", ""))
            self.assertEqual(believes["target"], f"/{name}/x?a=1")

    def test_trusted_proxy_is_believed(self):
        says = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "www.shop.example"),
                ("X-Forwarded-Port", "443")]
        for name in self.each():
            believes = self.ask(f"/{name}/", PROXY, says)
            self.assertEqual((believes["scheme"], believes["host"], believes["port"]), ("https", "www.shop.example", "443"))

    def test_prefix_that_was_cut_is_known(self):
        for name in self.each():
            believes = self.ask(f"/cut/{name}/x", STRANGER)
            self.assertEqual((believes["prefix"], believes["target"]), ("/cut", f"/{name}/x"))

    def test_bodies_arrive_however_they_were_framed(self):
        for name in self.each():
            self.assertEqual(self.ask(f"/{name}/", STRANGER, method="POST", body=b"a=1&b=2")["body"], "a=1&b=2")
        # A WSGI server of the standard library reads no chunks: neither does it alone.
        for name in ("node", "php"):
            with self.subTest(application=name):
                self.assertEqual(self.ask(f"/{name}/", STRANGER, method="PUT", body=b"in chunks", chunked=True)["body"],
                                 "in chunks")

    def test_methods_arrive_as_they_were(self):
        for name in self.each():
            for method in ("GET", "DELETE", "OPTIONS", "PATCH"):
                self.assertEqual(self.ask(f"/{name}/", STRANGER, method=method)["method"], method)


if __name__ == "__main__":
    unittest.main(verbosity=2)
