"""The control socket under clients that are silent, say nonsense, pass descriptors, or never read: reload and stop work."""
import os
import socket
import subprocess
import tempfile

from stage import Gateway, expect, request


def run(sluice, scale):
    control = os.path.join(tempfile.mkdtemp(), "control.sock")
    configuration = f"control: {control}\nroutes: [{{ auth: none, respond: {{ body: ok }} }}]\n"

    def client():
        one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        one.connect(control)
        one.settimeout(60)
        return one

    def reload():
        answer = subprocess.run([sluice, "reload", "--control", control], capture_output=True, text=True, timeout=60)
        expect(answer.returncode == 0, f"reload says {answer.stderr}")

    with Gateway(sluice, configuration) as gateway:
        silent = [client() for _ in range(30 * scale)]
        reload()
        for message in (b"x", b"reload\0", b"A" * 4096, b"A" * 60000, bytes(range(256)), b"listeners\n"):
            with client() as one:
                one.send(message)
                one.recv(4096)
        before = len(os.listdir(f"/proc/{gateway.process.pid}/fd"))
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(100)]
        with client() as one:
            for _ in range(10 * scale):
                socket.send_fds(one, [b"x"], files)
                one.recv(100)
        for file in files:
            os.close(file)
        expect(len(os.listdir(f"/proc/{gateway.process.pid}/fd")) <= before + 1, "descriptors stay with the gateway")
        deaf = client()
        try:
            for _ in range(20000 * scale):
                deaf.send(b"x")
        except OSError:
            pass
        reload()
        expect(request(gateway.port, "/")[0] == 200, "a request was not answered")
        expect(gateway.stop() == 0, "the drain cut something")
        for one in (*silent, deaf):
            one.close()
