"""What all peers need: programs on free ports that can be killed and started again, and a receiver that counts."""

import asyncio
import json
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, seconds, probe):
    """Waits for a condition and returns what the probe found."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = probe()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"not within {seconds} s: {what}")


def quiet(count, seconds=5):
    """The count once it has not changed for so long."""
    last, since = count(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.05)
        if count() != last:
            last, since = count(), time.monotonic()
    return last


class Program:
    """One program with a port; killed with -9 or stopped in order, and started again on the same folder."""

    def __init__(self, arguments, port, folder, environment=None):
        self.arguments, self.port, self.folder, self.environment = arguments, port, folder, environment
        self.start()

    def start(self):
        log = open(pathlib.Path(self.folder) / "output.log", "ab")
        self.process = subprocess.Popen(
            self.arguments, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
        )
        until(f"{self.arguments[0]} listens on {self.port}", 60, self.listens)

    def listens(self):
        if self.process.poll() is not None:
            raise RuntimeError((pathlib.Path(self.folder) / "output.log").read_text()[-2000:])
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def end(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait(60)

    def again(self, how=signal.SIGKILL):
        self.end(how)
        self.start()


def ask(url, body=None, token=None, method=None):
    """JSON in, JSON out."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def ready(url):
    def probe():
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    until(url, 60, probe)


class Receiver:
    """Takes POSTs, each for `takes_s`, and keeps their bodies in order of arrival. While `away` it answers 503."""

    def __init__(self, takes_s=0.02):
        self.takes_s, self.away, self.bodies, self.port = takes_s, False, [], free_port()
        started = threading.Event()
        threading.Thread(target=self.run, args=[started], daemon=True).start()
        started.wait()

    def run(self, started):
        async def serve():
            server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=4096)
            started.set()
            await server.serve_forever()

        asyncio.run(serve())

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(head.split("content-length:")[1].split("\r\n")[0]) if "content-length:" in head else 0
                body = await reader.readexactly(length)
                away = self.away
                if not away and head.startswith("post"):
                    self.bodies.append(body)
                await asyncio.sleep(0 if away else self.takes_s)
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % (b"503 Away" if away else b"204 Taken"))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The caller was killed; that is what this is for.
        finally:
            writer.close()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"
