# The gateway as it ships, in its sandbox: root becomes nobody, and what is read and written later still can be.
# usage: sandbox_test.py PATH_TO_SLUICE
import atexit
import http.server
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sluice = os.path.abspath(sys.argv[1])
folder = tempfile.mkdtemp()
os.chmod(folder, 0o777)


def write(name, text, mode=0o644):
    path = os.path.join(folder, name)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)
    return path


def run(*arguments):
    return subprocess.run([sluice, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def until(what, condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(what)


def status(pid, key):
    with open(f"/proc/{pid}/status") as file:
        return re.search(rf"^{key}:\s+(.*)$", file.read(), re.M).group(1).split()


def make_key(name):
    os.chdir(folder)
    keys = run("keys", "generate", "--alg", "ES256", "--out", name)
    return keys, run("token", "mint", "--key", name + ".pem", "--sub", name)


first, first_token = make_key("first")
second, second_token = make_key("second")
write("keys.json", first)
log = os.path.join(folder, "logs")
os.mkdir(log)
os.chmod(log, 0o777)
is_root = os.geteuid() == 0
# The key set of another: fetched from within the sandbox, by name, and kept.
keys_now = first


class Keys(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(keys_now)))
        self.end_headers()
        self.wfile.write(keys_now.encode())

    def log_message(self, *_):
        pass


key_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
threading.Thread(target=key_server.serve_forever, daemon=True).start()
config = write("sluice.yaml", f"""
listen: 127.0.0.1:0
{"user: nobody" if is_root else ""}
log: {log}/access.log
auth:
  main: {{ jwks: {{ file: {folder}/keys.json }}, algorithms: [ES256] }}
  other: {{ jwks: {{ url: "http://localhost:{key_server.server_port}/keys", copy: {folder}/copy.json }}, algorithms: [ES256] }}
upstreams: {{ a: {{ endpoints: [http://127.0.0.1:1] }} }}
routes:
  - {{ auth: main, upstream: a }}
  - {{ match: {{ path: /other }}, auth: other, upstream: a }}
""")
process = subprocess.Popen([sluice, "run", "--config", config, "--cores", "1"], stderr=subprocess.PIPE, text=True)
atexit.register(lambda: process.poll() is None and process.kill())  # however this ends
port = 0
while port == 0:
    line = process.stderr.readline()
    assert line, "the gateway ended early"
    found = re.search(r"127\.0\.0\.1:(\d+)", line)
    port = int(found.group(1)) if found else 0


def ask(path, token=""):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


assert status(process.pid, "NoNewPrivs") == ["1"]
assert status(process.pid, "Seccomp") == ["2"]
if is_root:
    assert set(status(process.pid, "Uid")) == {str(pwd.getpwnam("nobody").pw_uid)}, status(process.pid, "Uid")
assert ask("/", first_token)[0] == 502, "the key is good, and nobody is there"
assert ask("/", second_token)[0] == 401
assert ask("/other", first_token)[0] == 502, "keys that were fetched before the sandbox"
keys_now = second
until("keys are fetched for a token with a new kid", lambda: ask("/other", second_token)[0] == 502)
until("what was fetched is kept", lambda: open(f"{folder}/copy.json").read() == second)
metrics = ask("/metrics")[1]
assert int(re.search(r"^process_open_fds (\d+)", metrics, re.M).group(1)) > 3, "what it reads of itself"
write("keys.json", second)  # another file of the same name
until("a key set that was replaced is read", lambda: ask("/", second_token)[0] == 502)
os.rename(f"{log}/access.log", f"{log}/access.log.1")
process.send_signal(signal.SIGUSR1)
until("a log that was moved is begun anew", lambda: ask("/health") and os.path.exists(f"{log}/access.log") and os.path.getsize(f"{log}/access.log") > 0)
process.send_signal(signal.SIGTERM)
assert process.wait(timeout=40) == 0
print("sandbox: all well")
