# WebSocket through the gateway, with a client and a server of somebody else's: small and large messages both ways, many at once,
# the closing handshake, a drain that lets tunnels end, and one that doesn't.
# usage: websocket_test.py PATH_TO_SLUICE
import asyncio
import atexit
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile

import websockets

logging.getLogger("websockets").setLevel(logging.CRITICAL)  # the last tunnel is cut on purpose
sluice = sys.argv[1]
folder = tempfile.mkdtemp()


async def echo(socket):
    async for message in socket:
        await socket.send(message)


class Gateway:
    def __init__(self, port):
        self.config = os.path.join(folder, "sluice.yaml")
        with open(self.config, "w") as file:
            file.write(f"""
listen: 127.0.0.1:0
upstreams: {{ echo: {{ endpoints: [http://127.0.0.1:{port}] }} }}
routes:
  - {{ auth: none, upstream: echo }}
  - {{ match: {{ path: /plain }}, auth: none, upgrade: none, upstream: echo }}
""")
        self.process = subprocess.Popen([sluice, "run", "--config", self.config, "--cores", "2"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        atexit.register(lambda: self.process.poll() is None and self.process.kill())  # however this ends
        self.port = 0
        while self.port == 0:
            line = self.process.stderr.readline()
            assert line, "the gateway ended early"
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            self.port = int(found.group(1)) if found else 0

    def stop(self, *signals):
        for number in signals:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


async def talk(url, number):
    async with websockets.connect(url, max_size=None, close_timeout=5) as socket:
        for size in (0, 1, 125, 126, 65535, 65536, 3_000_000):
            message = bytes((number + i) & 255 for i in range(min(size, 1000))) * (size // 1000 + 1)
            message = message[:size]
            await socket.send(message)
            assert await socket.recv() == message, f"{size} bytes came back changed"
        await socket.send("grüße")
        assert await socket.recv() == "grüße"
        await (await socket.ping())
        # Both directions full at once: neither side may wait for the other for ever.
        load = os.urandom(200_000)
        sending = asyncio.gather(*(socket.send(load) for _ in range(20)))
        for _ in range(20):
            assert await socket.recv() == load
        await sending
    assert socket.close_code == 1000, socket.close_code


async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        gateway = Gateway(server.sockets[0].getsockname()[1])
        url = f"ws://127.0.0.1:{gateway.port}/chat?room=1"
        await asyncio.gather(*(talk(url, number) for number in range(12)))
        try:
            await websockets.connect(f"ws://127.0.0.1:{gateway.port}/plain")
            raise AssertionError("a route without upgrade made a tunnel")
        except websockets.exceptions.InvalidHandshake as refused:  # the server's own word
            status = refused.status_code if hasattr(refused, "status_code") else refused.response.status_code
            assert status == 426, refused
        async with websockets.connect(url) as socket:
            await socket.send("before")
            assert await socket.recv() == "before"
            gateway.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0)  # whether it has come or not: the tunnel lives on
            for _ in range(50):
                await socket.send("while draining")
                assert await socket.recv() == "while draining"
        out, err = await asyncio.to_thread(gateway.process.communicate, timeout=60)
        assert gateway.process.returncode == 0, (gateway.process.returncode, err)
        assert out.count('"status":101') == 13, out.count('"status":101')

        gateway = Gateway(server.sockets[0].getsockname()[1])
        socket = await websockets.connect(f"ws://127.0.0.1:{gateway.port}/", close_timeout=1)
        await socket.send("x")
        await socket.recv()
        code, out, err = await asyncio.to_thread(gateway.stop, signal.SIGTERM, signal.SIGINT)  # the second signal waits for nobody
        assert code == 3 and '"reason":"drain"' in out, (code, out, err)
    print("websocket: all well")


asyncio.run(main())
