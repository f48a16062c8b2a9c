"""Who takes part in a measurement: a process on a core of its own, found by its port. `python3 bench/peer.py N` prints N free ports."""
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("SLUICE_BENCH_BUILD", f"{TREE}/build/bench")
SECRET = "a-secret-for-measuring-and-nothing-else"
TICK = os.sysconf("SC_CLK_TCK")
os.environ["JWT_SECRET"] = SECRET


def free_port():
    """One that nobody has, and that no connection will be given (net.ipv4.ip_local_port_range begins at 32768)."""
    while True:
        port = random.randrange(20000, 32768)
        try:
            socket.create_server(("", port)).close()
            return port
        except OSError:
            pass


running = []


def stop_all():
    for peer in list(running):
        peer.stop()


class Peer:
    def __init__(self, name, command, port, core=0, child=False):
        self.name, self.port = name, port
        prefix = ["taskset", "-c", str(core)] if core is not None else []
        self.process = subprocess.Popen(prefix + command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running.append(self)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        else:
            self.process.kill()
            self.process.wait()
        if self.process.poll() is not None:
            sys.exit(f"bench: {name} did not start: {' '.join(command)}")
        self.pid = self.process.pid
        if child:
            self.pid = int(subprocess.check_output(["pgrep", "-P", str(self.pid)]).split()[0])

    def cpu(self):
        """User and system, in microseconds."""
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) * 1e6 / TICK, int(fields[12]) * 1e6 / TICK

    def resident_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.pid}/status").read()).group(1))

    def stop(self):
        running.remove(self)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


def sluice_config(folder, name, port, origin, workers="cores: 1", log="/dev/null", upstream=""):
    path = f"{folder}/{name}.yaml"
    with open(path, "w") as file:
        file.write(f"listen: 127.0.0.1:{port}\nworkers: {{ {workers}, connections: 20000, upstream_connections: 16000, requests: 16000 }}\n"
                   "auth: { main: { secret: { env: JWT_SECRET } } }\n"
                   "limits: { all: { key: address, rate: 10000000/s, burst: 1000000, delay: 1000000 } }\n"
                   f"upstreams: {{ origin: {{ endpoints: [http://127.0.0.1:{origin}], queue: {{ length: 20000 }}{upstream} }} }}\n"
                   f"routes: [ {{ auth: main, limits: all, upstream: origin }} ]\nlog: {log}\n")
    return [f"{BUILD}/sluice", "run", "--config", path]


if __name__ == "__main__":
    print(*(free_port() for _ in range(int(sys.argv[1]))))
