#!/usr/bin/python3
"""The process as the system sees it: signals, memory, capabilities, the ring that is denied, sockets, logs, the control socket.

usage: process_test.py PATH_TO_SLUICE
"""
import ctypes
import os
import re
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SLUICE = os.path.abspath(sys.argv.pop(1))
SECRET = "a-secret-of-thirty-two-bytes-or-so"
IS_ROOT = os.geteuid() == 0
NOBODY = 65534


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(is_so, what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = is_so()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s for: {what}")


def deny(call, error):
    """A filter of system calls that answers one of them with an error; for preexec_fn."""
    def install():
        # struct sock_filter: load the number of the call, compare, answer.
        program = struct.pack("=HBBI", 0x20, 0, 0, 0) + struct.pack("=HBBI", 0x15, 0, 1, call)
        program += struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | error) + struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
        memory = ctypes.create_string_buffer(program)
        filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(memory)))
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        if libc.prctl(22, 2, filter_, 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
            os._exit(99)
    return install


class Process(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        os.chmod(self.folder, 0o777)
        self.port = free_port()
        self.control = f"{self.folder}/control.sock"
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    self.fail("a gateway did not stop: " + self.said(process))

    def write(self, more="", listen=None, log="none", sandbox="on", control=None):
        path = f"{self.folder}/sluice.yaml"
        with open(path + ".new", "w") as file:
            file.write(f"listen: {listen or f'127.0.0.1:{self.port}'}\nlog: {log}\nworkers: {{ cores: 1 }}\nsandbox: {sandbox}\n"
                       f"control: {control or self.control}\nauth: {{ main: {{ secret: {{ env: JWT_SECRET }} }} }}\n"
                       "routes:\n  - { match: { path: /private }, auth: main, respond: { body: secret } }\n"
                       f"  - {{ auth: none, respond: {{ body: hello }} }}\n{more}\n")
        os.rename(path + ".new", path)
        return path

    def launch(self, config, *flags, preexec=None):
        output = f"{self.folder}/said.{len(self.processes)}"
        with open(output, "w") as file:
            process = subprocess.Popen([SLUICE, "run", "--config", config, *flags], stdout=file, stderr=file,
                                       env={**os.environ, "JWT_SECRET": SECRET}, preexec_fn=preexec)
        process.output = output
        self.processes.append(process)
        return process

    def start(self, config, *flags, preexec=None):
        process = self.launch(config, *flags, preexec=preexec)
        until(lambda: process.poll() is not None or "memory: at most" in self.said(process), "the gateway starts")
        self.assertIsNone(process.poll(), self.said(process))
        return process

    def refuses(self, config, *flags, preexec=None):
        process = self.launch(config, *flags, preexec=preexec)
        code = process.wait(60)
        return code, self.said(process)

    def said(self, process):
        with open(process.output) as file:
            return file.read()

    def ask(self, path="/", connection=None, token=None, port=None, family=socket.AF_INET, host="127.0.0.1"):
        own = connection is None
        if own:
            connection = socket.socket(family)
            connection.settimeout(30)
            connection.connect((host, port or self.port))
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "") + "\r\n"
        connection.sendall(head.encode())
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return 0, data.decode()
            data += piece
        length = int(re.search(rb"(?i)content-length: (\d+)", data).group(1))
        while len(data.partition(b"\r\n\r\n")[2]) < length:
            data += connection.recv(65536)
        if own:
            connection.close()
        return int(data.split()[1]), data.decode()

    def metric(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.ask("/metrics")[1], re.M).group(1))

    def reload(self):
        return subprocess.run([SLUICE, "reload", "--control", self.control], capture_output=True, text=True, timeout=60)

    # --- signals ---------------------------------------------------------------------------------------------------------

    def test_signals_that_nobody_uses_change_nothing_and_quit_drains(self):
        gateway = self.start(self.write())
        ignored = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO,
                   signal.SIGPWR, signal.SIGSTKFLT, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH,
                   signal.SIGRTMIN, signal.SIGRTMIN + 7, signal.SIGRTMAX]
        for one in ignored:
            gateway.send_signal(one)
            self.assertEqual(self.ask()[0], 200, one)
            self.assertIsNone(gateway.poll(), one)
        gateway.send_signal(signal.SIGQUIT)
        self.assertEqual(gateway.wait(30), 0)
        self.assertIn("draining: finishing what is in flight", self.said(gateway))

    def test_hangup_without_a_file_is_said_and_nothing_else(self):
        self.processes.append(subprocess.Popen([SLUICE, "run", "--listen", f"127.0.0.1:{self.port}", "--log", "none", "--cores", "1"],
                                               stderr=open(f"{self.folder}/said.h", "w"), env={**os.environ, "JWT_SECRET": SECRET}))
        gateway = self.processes[-1]
        gateway.output = f"{self.folder}/said.h"
        until(lambda: "memory: at most" in self.said(gateway), "the gateway starts")
        gateway.send_signal(signal.SIGHUP)
        until(lambda: "no configuration file to reload" in self.said(gateway), "it is said")
        self.assertEqual(self.ask("/health")[0], 200)

    # --- what it keeps to itself -----------------------------------------------------------------------------------------

    def test_secret_is_gone_from_the_environment_block_and_a_reload_still_has_it(self):
        gateway = self.start(self.write())
        with open(f"/proc/{gateway.pid}/environ", "rb") as file:
            block = file.read()
        self.assertIn(b"JWT_SECRET=", block)
        self.assertNotIn(SECRET.encode(), block)
        token = subprocess.run([SLUICE, "token", "mint"], env={**os.environ, "JWT_SECRET": SECRET}, capture_output=True,
                               text=True, check=True).stdout.strip()
        self.assertEqual(self.ask("/private", token=token)[0], 200)
        self.assertEqual(self.reload().returncode, 0)
        self.assertEqual(self.ask("/private", token=token)[0], 200)

    @unittest.skipUnless(IS_ROOT and "sanitize" not in SLUICE and "thread" not in SLUICE, "root becomes another user")
    def test_memory_is_private_unless_the_sandbox_is_off(self):
        for sandbox, owner in (("on", 0), ("off", NOBODY)):
            gateway = self.start(self.write(sandbox=sandbox, control=f"{self.folder}/{sandbox}.sock"), preexec=lambda: os.setuid(NOBODY))
            # The kernel gives the files of a process that may not be dumped to root.
            self.assertEqual(os.stat(f"/proc/{gateway.pid}/environ").st_uid, owner, sandbox)
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(30)

    @unittest.skipUnless(IS_ROOT, "only root has capabilities")
    def test_root_keeps_the_one_capability_that_a_reload_may_need(self):
        gateway = self.start(self.write())
        for task in os.listdir(f"/proc/{gateway.pid}/task"):
            with open(f"/proc/{gateway.pid}/task/{task}/status") as file:
                text = file.read()
            for kind, most in (("CapEff", 1 << 10), ("CapPrm", 1 << 10), ("CapInh", 0), ("CapAmb", 0), ("CapBnd", 1 << 10)):
                value = int(re.search(rf"^{kind}:\s+(\S+)", text, re.M).group(1), 16)
                self.assertEqual(value & ~most, 0, f"{kind} {value:x}")
        self.assertEqual(self.reload().returncode, 0)

    def test_ring_that_is_denied_is_exit_4_and_the_call_is_named(self):
        config = self.write(sandbox="off")
        for number, name in ((425, "io_uring_setup"), (426, "io_uring_enter"), (427, "io_uring_register")):
            for error in (1, 38):  # EPERM, ENOSYS
                code, said = self.refuses(config, preexec=deny(number, error))
                self.assertEqual(code, 4, said)
                self.assertIn(f"io_uring is not available: {name}: ", said)
                self.assertIn("seccomp profile", said)

    # --- listeners -------------------------------------------------------------------------------------------------------

    def test_ipv4_and_ipv6_of_one_port_in_either_order(self):
        for first, second in (("0.0.0.0", "[::]"), ("[::]", "0.0.0.0")):
            gateway = self.start(self.write(listen=f'["{first}:{self.port}", "{second}:{self.port}"]'))
            self.assertEqual(self.ask()[0], 200)
            self.assertEqual(self.ask(family=socket.AF_INET6, host="::1")[0], 200)
            self.assertEqual(self.reload().returncode, 0)
            gateway.send_signal(signal.SIGTERM)
            self.assertEqual(gateway.wait(30), 0)
        gateway = self.start(self.write(listen=f'"[::]:{self.port}"'))
        self.assertEqual(self.ask()[0], 200, "alone it takes both")
        self.write(listen=f'["[::]:{self.port}", "0.0.0.0:{self.port}"]')
        self.assertIn("whether it takes IPv4 can't change", self.reload().stderr)
        self.assertEqual(self.ask()[0], 200)

    def test_unix_listener_has_the_mode_and_group_that_it_is_given(self):
        path = f"{self.folder}/listen.sock"
        group = os.getegid()
        import grp
        name = grp.getgrgid(group).gr_name
        self.start(self.write(listen=f'{{ address: "unix:{path}", mode: "0620", group: {name} }}'))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o620)
        self.assertEqual(os.stat(path).st_gid, group)
        self.write(listen=f'{{ address: "unix:{path}", mode: "0666" }}')
        self.assertEqual(self.reload().returncode, 0)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o666)
        for wrong, words in (('"888"', "is not the mode of a socket"), ('"0060"', "is not the mode of a socket")):
            answer = subprocess.run([SLUICE, "check", self.write(listen=f'{{ address: "unix:{path}", mode: {wrong} }}')],
                                    env={**os.environ, "JWT_SECRET": SECRET}, capture_output=True, text=True)
            self.assertEqual(answer.returncode, 2)
            self.assertIn(words, answer.stdout + answer.stderr)

    # --- the control socket ----------------------------------------------------------------------------------------------

    def test_control_socket_is_not_stolen_and_its_maker_alone_removes_it(self):
        first = self.start(self.write())
        code, said = self.refuses(self.write(listen=f"127.0.0.1:{free_port()}"))
        self.assertEqual(code, 2, said)
        self.assertIn("another gateway answers there", said)
        self.write()  # or it would listen where the second one was to
        self.assertEqual(self.reload().returncode, 0, "the first one still has it")
        second = self.start(self.write(), "--take-over")
        self.assertEqual(first.wait(60), 0)
        self.assertEqual(self.reload().returncode, 0, "the name is the second one's, and there")
        second.kill()
        second.wait()
        self.assertTrue(os.path.exists(self.control))
        third = self.start(self.write())  # over what was left behind
        os.rename(self.control, self.control + ".kept")
        with open(self.control, "w") as file:
            file.write("precious")
        third.send_signal(signal.SIGTERM)
        self.assertEqual(third.wait(30), 0)
        with open(self.control) as file:
            self.assertEqual(file.read(), "precious")
        code, said = self.refuses(self.write())
        self.assertEqual(code, 2)
        self.assertIn("there is a file of this name, and no socket", said)

    def test_control_clients_that_are_silent_or_never_read_hold_up_nobody(self):
        gateway = self.start(self.write())

        def client():
            one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            one.connect(self.control)
            one.settimeout(30)
            return one

        silent = [client() for _ in range(40)]
        self.assertEqual(self.reload().returncode, 0)
        deaf = client()
        sent = [0]

        def flood():
            try:
                while sent[0] < 20000:
                    deaf.send(b"x")
                    sent[0] += 1
            except OSError:
                pass

        thread = threading.Thread(target=flood)
        thread.start()
        thread.join()
        self.assertEqual(self.reload().returncode, 0)
        gateway.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(30), 0)
        for one in (*silent, deaf):
            one.close()

    def test_take_over_closes_a_kept_connection_with_an_answer_and_never_under_a_request(self):
        old = self.start(self.write())
        kept = []
        for _ in range(8):
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            self.assertEqual(self.ask(connection=connection)[0], 200)
            kept.append(connection)
        self.start(self.write(), "--take-over")
        until(lambda: "another process has taken over" in self.said(old), "the old one knows")
        for connection in kept:
            status, answer = self.ask(connection=connection)
            self.assertEqual(status, 200)
            self.assertRegex(answer.lower(), "connection: close")
            self.assertEqual(connection.recv(1), b"")
        self.assertEqual(old.wait(30), 0, self.said(old))

    # --- the log ---------------------------------------------------------------------------------------------------------

    def test_log_words_mean_what_they_say(self):
        for word in ("syslog", "journald"):
            code, said = self.refuses(self.write(log=word))
            self.assertEqual(code, 2)
            self.assertIn("Sluice does not speak to", said)
        for word in ("stdout", "stderr", "/dev/stdout", "/dev/stderr"):
            gateway = self.start(self.write(log=word))
            self.ask("/seen")
            until(lambda: '"path":"/seen"' in self.said(gateway), word)
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(30)
        self.assertFalse(os.path.exists("stdout") or os.path.exists("stderr"))

    @unittest.skipUnless(IS_ROOT, "root becomes another user")
    def test_log_is_opened_and_reopened_as_the_user_that_writes_it(self):
        folder = f"{self.folder}/logs"
        os.mkdir(folder)
        log = f"{folder}/access.log"
        code, said = self.refuses(self.write("user: nobody", log=log))
        self.assertEqual(code, 2, "the folder is root's")
        self.assertIn("Permission denied (as user nobody)", said)
        os.chmod(folder, 0o777)
        gateway = self.start(self.write("user: nobody", log=log))
        self.assertEqual(os.stat(log).st_uid, NOBODY)
        self.ask("/one")
        until(lambda: os.path.getsize(log) > 0, "a line")
        os.rename(log, log + ".1")
        with open(log, "w"):
            os.chmod(log, 0o600)  # root's
        gateway.send_signal(signal.SIGUSR1)
        until(lambda: f"can't reopen the log {log}: Permission denied" in self.said(gateway), "the failure is said")
        self.ask("/two")
        until(lambda: "/two" in open(log + ".1").read(), "the old file goes on")
        os.remove(log)
        gateway.send_signal(signal.SIGUSR1)
        until(lambda: os.path.exists(log), "the new file")
        self.ask("/three")
        until(lambda: "/three" in open(log).read(), "and its line")

    def test_log_into_a_pipe_without_a_reader_blocks_neither_start_nor_stop(self):
        pipe = f"{self.folder}/pipe"
        os.mkfifo(pipe)
        gateway = self.start(self.write(log=pipe))
        self.assertEqual(self.ask("/kept")[0], 200)
        gateway.send_signal(signal.SIGUSR1)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        got = b""

        def read():
            nonlocal got
            try:
                got += os.read(reader, 65536)
            except BlockingIOError:
                pass
            return b"/kept" in got

        until(read, "the line that waited")
        os.close(reader)
        gateway.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(30), 0)

    def test_log_that_is_full_loses_lines_that_are_counted_and_said_once(self):
        log = f"{self.folder}/access.log"
        bound = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        process = self.launch(self.write(log=log), preexec=bound)
        until(lambda: process.poll() is not None or "memory: at most" in self.said(process), "the gateway starts")
        for number in range(40):
            self.assertEqual(self.ask(f"/{number}")[0], 200)
        until(lambda: self.metric("gateway_log_dropped_total") > 0, "lost lines are counted")
        until(lambda: "loses lines" in self.said(process), "it is said")
        self.assertEqual(self.said(process).count("loses lines"), 1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)
        with open(log) as file:
            lines = file.read().split("\n")
        self.assertEqual([line for line in lines[:-1] if not (line.startswith('{"ts"') and line.endswith("}"))], [])


if __name__ == "__main__":
    unittest.main(verbosity=1)
