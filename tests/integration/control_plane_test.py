#!/usr/bin/python3
"""The control thread waits for nobody: key servers, DNS, its own clients and those who read its words may be silent.

usage: control_plane_test.py PATH_TO_SLUICE
"""
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import operations_test
from operations_test import SLUICE, until

NOBODY = 65534
LONELY = 61234  # a user with no process


class NameServer:
    """Knows the names that it is told; silent on demand."""

    def __init__(self, **known):
        self.known = known
        self.silent = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.asked = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            question, who = self.socket.recvfrom(512)
            if not question:
                return
            self.asked += 1
            if self.silent:
                continue
            labels, end = [], 12
            while question[end]:
                labels.append(question[end + 1:end + 1 + question[end]].decode().lower())
                end += question[end] + 1
            kind = struct.unpack("!H", question[end + 1:end + 3])[0]
            found = self.known.get(labels[0])
            code = 0x8180 if found else 0x8183
            addresses = found if found and kind == 1 else []
            reply = question[:2] + struct.pack("!HHHHH", code, 1, len(addresses), 0, 0) + question[12:end + 5]
            for address in addresses:
                reply += b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 1, 4) + socket.inet_aton(address)
            self.socket.sendto(reply, who)

    def close(self):
        self.socket.sendto(b"", self.socket.getsockname())


class KeyServer:
    """Answers with a key set, or not at all."""

    def __init__(self, keys):
        self.keys = keys.encode()
        self.silent = False
        self.asked = 0
        self.held = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/keys"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.recv(4096)
            self.asked += 1
            if self.silent:
                self.held.append(connection)
                continue
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(self.keys) + self.keys)
            connection.close()

    def close(self):
        self.listener.close()


class ControlPlane(operations_test.Operations):
    def setUp(self):
        super().setUp()
        self.servers = []

    def tearDown(self):
        super().tearDown()
        for server in self.servers:
            server.close()

    def name_server(self, **known):
        self.servers.append(NameServer(**known))
        return self.servers[-1]

    def key_server(self):
        key = f"{self.folder}/key{len(self.servers)}"
        subprocess.run([SLUICE, "keys", "generate", "--out", key], check=True, capture_output=True)
        keys = subprocess.run([SLUICE, "keys", "jwks", f"{key}.pub.pem"], check=True, capture_output=True, text=True).stdout
        self.token = subprocess.run([SLUICE, "token", "mint", "--key", f"{key}.pem"], check=True, capture_output=True,
                                    text=True).stdout.strip()
        self.servers.append(KeyServer(keys))
        return self.servers[-1]

    def auth(self, *servers):
        return "auth:\n" + "".join(f"  p{number}: {{ algorithms: [ES256], jwks: {{ url: '{server.url}' }} }}\n"
                                   for number, server in enumerate(servers))

    def with_token(self, path="/"):
        client = self.client()
        status = client.ask(path, fields=f"Authorization: Bearer {self.token}\r\n")[0]
        client.close()
        return status

    def spawn(self, *flags, preexec=None, stderr=None, environment=None):
        """Does not wait for it to serve."""
        log = open(f"{self.folder}/log.{len(self.processes)}", "w+")
        process = subprocess.Popen([SLUICE, "run", "--config", self.config, *flags], stderr=stderr or log, stdout=log,
                                   preexec_fn=preexec, env={**os.environ, **(environment or {})})
        process.log = log
        self.processes.append(process)
        return process

    def ends(self, process, what):
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        until(lambda: process.poll() is not None or "draining: " in self.log(process), what)
        heard = time.monotonic()
        until(lambda: process.poll() is not None, what)
        print(f"SIGTERM with {what}: heard after {(heard - begun) * 1000:.0f} ms, gone after "
              f"{(time.monotonic() - begun) * 1000:.0f} ms", file=sys.stderr)

    def control_connections(self):
        with open("/proc/net/unix") as sockets:
            return sum(f"{self.folder}/." in line for line in sockets)  # it is bound by another name first

    # --- keys --------------------------------------------------------------------------------------------------------------

    def test_reload_while_the_key_server_is_silent_keeps_the_keys(self):
        server = self.key_server()
        route = "  - { auth: p0, respond: { body: one } }"
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", route, more=self.auth(server))
        gateway = self.start()
        self.assertEqual(self.with_token(), 200)
        server.silent = True
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", route.replace("one", "two"), more=self.auth(server))
        self.assertEqual(self.reload().returncode, 0, self.log(gateway))
        self.assertEqual(self.with_token(), 200)
        self.assertEqual(server.asked, 1, "what is known is not asked for anew")
        self.assertEqual(self.metric("gateway_key_source_up", f'{{source="{server.url}"}}'), 1)

    def test_sigterm_is_heard_while_a_reload_waits_for_a_silent_key_server(self):
        good, silent = self.key_server(), self.key_server()
        silent.silent = True
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", "  - { auth: p0, respond: { body: one } }", more=self.auth(good))
        gateway = self.start()
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", "  - { auth: p0, respond: { body: one } }", more=self.auth(good, silent))
        gateway.send_signal(signal.SIGHUP)
        until(lambda: silent.asked, "the reload asks")
        self.ends(gateway, "a reload that waits for a key server")
        self.assertEqual(gateway.returncode, 0)
        self.assertNotIn("goes on as it was", self.log(gateway))

    def test_sigterm_is_heard_during_a_start_that_waits(self):
        silent = self.key_server()
        silent.silent = True
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", "  - { auth: p0, respond: { body: one } }", more=self.auth(silent))
        gateway = self.spawn()
        until(lambda: silent.asked, "the start asks")
        self.ends(gateway, "a start that waits for a key server")
        self.assertEqual(gateway.returncode, 0)
        self.assertIn("stopped before it served", self.log(gateway))
        names = self.name_server()
        names.silent = True
        resolver = f"resolver: {{ servers: ['{names.address}'], timeout: 10s }}"
        self.write("  named: { endpoints: [http://orders.test:9001] }", "  - { auth: none, upstream: named }", more=resolver)
        gateway = self.spawn()
        until(lambda: names.asked, "the start looks the name up")
        self.ends(gateway, "a start that waits for DNS")
        self.assertEqual(gateway.returncode, 0)

    # --- names -------------------------------------------------------------------------------------------------------------

    def test_name_that_does_not_resolve_is_its_upstreams_lack_until_it_does(self):
        names = self.name_server(a=["127.0.0.1"])
        origin = self.origin("a")
        resolver = f"resolver: {{ servers: ['{names.address}'], ttl_min: 200ms }}"
        upstreams = f"  a: {{ endpoints: [http://a.test:{origin.port}] }}\n  b: {{ endpoints: [http://b.test:{origin.port}] }}"
        routes = "  - { auth: none, upstream: a }\n  - { match: { path: /b }, auth: none, upstream: b }"
        self.write(upstreams, routes, more=resolver)
        gateway = self.start()
        client = self.client()
        self.assertEqual(client.ask("/")[0], 200)
        status, _, body = client.ask("/b")
        self.assertEqual(status, 503)
        self.assertIn("upstream.unresolved", body)
        self.assertIn("the name b.test has no address", self.log(gateway))
        checked = subprocess.run([SLUICE, "check", "--resolve", self.config], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 2)
        self.assertIn("the name b.test has no address", checked.stderr)
        names.known["b"] = ["127.0.0.1"]
        until(lambda: client.ask("/b")[0] == 200, "the name has an address")
        names.silent = True
        self.write(upstreams, routes + "\n  - { match: { path: /new }, auth: none, respond: { status: 204 } }", more=resolver)
        self.assertEqual(self.reload().returncode, 0, "what is known is not looked up for a reload")
        self.assertEqual(client.ask("/new")[0], 204)
        self.assertEqual(client.ask("/b")[0], 200)

    def test_name_that_moves_while_there_is_no_room_for_a_configuration_is_taken_up_later(self):
        names = self.name_server(a=["127.0.0.2"])
        origin = self.origin("a")
        resolver = f"resolver: {{ servers: ['{names.address}'], ttl_min: 200ms, ttl_max: 200ms }}"
        upstreams = f"  fixed: {{ endpoints: [http://127.0.0.1:{origin.port}] }}\n  a: {{ endpoints: [http://a.test:{origin.port}], retries: 0 }}"
        self.write(upstreams, "  - { auth: none, upstream: fixed }\n  - { match: { path: /a }, auth: none, upstream: a }", more=resolver)
        gateway = self.start()
        threads = []
        for number in range(1, 10):
            threads.append(threading.Thread(target=lambda: self.client().ask("/hold")))
            threads[-1].start()
            until(lambda: origin.requests == number, "the request is with its endpoint")
            if self.reload().returncode != 0:
                break
        names.known["a"] = ["127.0.0.1"]
        until(lambda: "are not in use yet" in self.log(gateway), "there is no room")
        origin.mode = "let go"
        for thread in threads:
            thread.join()
        client = self.client()
        until(lambda: client.ask("/a")[0] == 200, "the new address is in use")

    def test_control_thread_goes_on_while_dns_is_silent(self):
        names = self.name_server()
        names.silent = True
        origin = self.origin("a")
        self.write(self.one(origin), "  - { auth: none, upstream: one }")
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind(f"{self.folder}/notify.sock")
        told.settimeout(20)
        gateway = self.start(environment={"NOTIFY_SOCKET": f"{self.folder}/notify.sock", "WATCHDOG_USEC": "400000"})
        resolver = f"resolver: {{ servers: ['{names.address}'], timeout: 10s }}"
        self.write(self.one(origin) + "\n  named: { endpoints: [http://orders.test:9001] }", "  - { auth: none, upstream: one }", more=resolver)
        gateway.send_signal(signal.SIGHUP)
        until(lambda: names.asked, "the reload looks the name up")
        while not told.recv(1000).startswith(b"RELOADING=1"):
            pass
        for _ in range(5):
            self.assertEqual(told.recv(1000), b"WATCHDOG=1", "the watchdog is fed, and the reload is under way")
        self.ends(gateway, "a reload that waits for DNS")
        self.assertEqual(gateway.returncode, 0)

    # --- who listens to it -------------------------------------------------------------------------------------------------

    def test_control_client_that_never_reads_keeps_nobody_waiting(self):
        origin = self.origin("a")
        self.write(self.one(origin), "  - { auth: none, upstream: one }")
        gateway = self.start()
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect(self.control)
        client.settimeout(20)
        with self.assertRaises(OSError):  # let go of, once what it does not read fills its socket
            while True:
                client.send(b"x")
        silent = []
        for _ in range(20):
            silent.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            silent[-1].connect(self.control)
        self.assertEqual(self.reload().returncode, 0, "silent ones make room")
        self.ends(gateway, "a control client that never reads")
        self.assertEqual(gateway.returncode, 0)
        for one in [client, *silent]:
            one.close()

    def test_full_standard_error_keeps_nobody_waiting(self):
        origin = self.origin("a")
        self.write(self.one(origin), "  - { auth: none, upstream: one }")
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        gateway = self.spawn(stderr=writer)
        until(lambda: self.reload().returncode == 0, "it serves")
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(writer, True)
        os.close(writer)
        for _ in range(3):
            self.assertEqual(self.reload().returncode, 0)
        self.ends(gateway, "a standard error that nobody reads")
        self.assertEqual(gateway.returncode, 0)
        os.close(reader)

    def test_named_pipe_that_nobody_reads_is_a_log_that_keeps_nobody_waiting(self):
        pipe = f"{self.folder}/access.log"
        os.mkfifo(pipe)
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", "  - { auth: none, respond: { body: one } }")
        gateway = self.start("--log", pipe)
        client = self.client()
        for _ in range(1000):  # the pipe takes 64 KiB
            self.assertEqual(client.ask()[0], 200)
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", "  - { auth: none, respond: { body: two } }")
        self.assertEqual(self.reload().returncode, 0, self.log(gateway))
        self.assertEqual(client.ask()[2], "two")
        gateway.send_signal(signal.SIGUSR1)
        self.assertEqual(self.reload().returncode, 0, "it is opened anew, and the pipe is full still")
        client.close()
        self.ends(gateway, "a named pipe that nobody reads")
        self.assertEqual(gateway.returncode, 0)

    def test_predecessor_that_hangs_keeps_its_successor_waiting_for_seconds_at_most(self):
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", "  - { auth: none, respond: { body: one } }")
        first = self.start()
        first.send_signal(signal.SIGSTOP)
        try:
            second = self.spawn("--take-over")
            self.assertEqual(second.wait(20), 5)
            self.assertIn("did not hand over its sockets within 3 s", self.log(second))
            waiting = self.control_connections()
            third = self.spawn("--take-over")
            until(lambda: third.poll() is not None or self.control_connections() > waiting, "it asks")
            self.ends(third, "a predecessor that hangs")
            self.assertEqual(third.returncode, 0, self.log(third))
        finally:
            first.send_signal(signal.SIGCONT)
        self.assertEqual(self.client().ask()[2], "one")
        self.assertEqual(self.reload().returncode, 0)

    # --- what the process may have ------------------------------------------------------------------------------------------

    @unittest.skipUnless(os.geteuid() == 0, "becomes another user")
    @unittest.skipIf(operations_test.SLOW, "the sanitizers need threads of their own")
    def test_without_threads_it_says_so_and_exits_with_2(self):
        os.chmod(self.folder, 0o777)
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", "  - { auth: none, respond: { body: one } }")
        for most in range(1, 9):

            def bound():
                resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
                os.setgid(LONELY)
                os.setuid(LONELY)

            gateway = self.spawn(preexec=bound)
            until(lambda: gateway.poll() is not None or "memory: at most" in self.log(gateway), "it starts or says why not")
            if gateway.poll() is None:
                self.assertEqual(self.reload().returncode, 0, "what a reload needs is there")
                gateway.send_signal(signal.SIGTERM)
                self.assertEqual(gateway.wait(20), 0)
            else:
                self.assertEqual(gateway.returncode, 2, f"{most} processes: {self.log(gateway)}")
                self.assertIn("is to be had", self.log(gateway))

    @unittest.skipIf(operations_test.SLOW, "the sanitizers need memory of their own")
    def test_without_memory_it_says_so_and_exits_with_2(self):
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", "  - { auth: none, respond: { body: one } }")
        for mebibytes in (150, 250, 400, 600):
            gateway = self.spawn(preexec=lambda: resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20)))
            until(lambda: gateway.poll() is not None or "memory: at most" in self.log(gateway), "it starts or says why not")
            if gateway.poll() is None:
                gateway.send_signal(signal.SIGTERM)
                self.assertEqual(gateway.wait(20), 0)
            else:
                self.assertIn(gateway.returncode, (2, 4), f"{mebibytes} MiB: {self.log(gateway)}")
                self.assertIn("sluice: ", self.log(gateway))

    @unittest.skipUnless(os.geteuid() == 0, "becomes another user")
    def test_reload_works_as_another_user_inside_the_sandbox(self):
        os.chmod(self.folder, 0o777)
        listen = f"127.0.0.1:{self.port}"
        text = f"listen: {listen}\ncontrol: {self.control}\nworkers: {{ cores: 1 }}\nlog: none\nsandbox: on\nuser: nobody\n"
        text += "routes:\n  - { auth: none, respond: { body: one } }\n"
        with open(self.config, "w") as file:
            file.write(text)
        gateway = self.start()
        with open(self.config, "w") as file:
            file.write(text.replace("body: one", "body: two"))
        self.assertEqual(self.reload().returncode, 0, self.log(gateway))
        self.assertEqual(self.client().ask()[2], "two")

    def test_log_that_may_not_grow_ends_nothing(self):
        self.write("  unused: { endpoints: [http://127.0.0.1:1] }", "  - { auth: none, respond: { body: one } }")
        gateway = self.start("--log", f"{self.folder}/access.log", preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)))
        client = self.client()
        for _ in range(200):
            self.assertEqual(client.ask()[0], 200)
        until(lambda: os.path.getsize(f"{self.folder}/access.log") >= 8000, "the log is full")
        self.assertEqual(client.ask()[0], 200)
        self.assertIsNone(gateway.poll())


# What the base class tests is tested where it stands.
for inherited in dir(operations_test.Operations):
    if inherited.startswith("test_"):
        setattr(ControlPlane, inherited, None)

if __name__ == "__main__":
    unittest.main(verbosity=2)
