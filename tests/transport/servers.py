"""A server that misbehaves on purpose: a socket on the loopback interface, and one script a connection."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

DONE = "data: [DONE]\n\n"
STREAM_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def event(body: object) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(body)}\n\n"


def text(content: str) -> str:
    """A chunk of a chat completion's stream that adds text."""
    return event({"id": "c-1", "model": "m", "choices": [{"index": 0, "delta": {"content": content}}]})


def ending(reason: str = "stop") -> str:
    """The chunk that says how the answer ended."""
    return event({"id": "c-1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def answer(*words: str) -> str:
    """A whole stream."""
    return "".join(map(text, words)) + ending() + DONE


class Connection:
    """One accepted connection, its request read."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def read(self) -> bytes:
        """The next request; empty if the client hung up instead."""
        received = b""
        while b"\r\n\r\n" not in received:
            if not (chunk := self.socket.recv(65536)):
                return b""
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            ),
            0,
        )
        while len(body) < length:
            body += self.socket.recv(65536)
        return head + b"\r\n\r\n" + body

    def send(self, data: str | bytes) -> None:
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def stream(self, *pieces: str, headers: str = "") -> None:
        """A streamed answer that goes on until the connection is closed."""
        self.send(f"{STREAM_HEAD}{headers}\r\n")
        for piece in pieces:
            self.send(piece)

    def chunked(self, *pieces: str) -> None:
        """A whole streamed answer, after which the connection can be used again."""
        self.send(f"{STREAM_HEAD}transfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            self.send(f"{len(piece.encode()):x}\r\n{piece}\r\n")
        self.send("0\r\n\r\n")

    def reply(
        self, status: str, body: object, headers: str = "", kind: str = "application/json", *, keep: bool = False
    ) -> None:
        """A whole answer, after which the connection is closed, and says so, unless it is to be kept."""
        content = body if isinstance(body, str) else json.dumps(body)
        length = len(content.encode())
        # A server that closes without a word may do it while the next try is already on its way.
        headers += "" if keep else "connection: close\r\n"
        self.send(f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{headers}\r\n{content}")

    def reset(self) -> None:
        """Break the connection, as a crashed server does, instead of closing it."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def until_left(self, limit: float = 5.0) -> bool:
        """Wait until the client hangs up; False if it does not."""
        self.socket.settimeout(limit)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def drip(self, pieces: Iterable[str], every: float) -> None:
        """Send the pieces with pauses, until the client hangs up."""
        for piece in pieces:
            if select.select([self.socket], [], [], every)[0]:
                return
            self.send(piece)


Script = Callable[[Connection], Any]


class FaultServer:
    """Plays one script a connection, the last one again and again.

    Attributes:
        requests: every request that came, in order.
        left: set when the client hung up on a script that waits for it.
    """

    def __init__(self, *scripts: Script) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.left = threading.Event()
        self.left_at = 0.0
        self._scripts = list(scripts)
        self._problems: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepting = threading.Thread(target=self._accept)
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"{self.origin}/v1"

    def __enter__(self) -> FaultServer:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A listener that is only closed does not wake the thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        assert not self._problems, self._problems

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._play, args=(accepted, script))
            self._threads.append(thread)
            thread.start()

    def _play(self, accepted: socket.socket, script: Script) -> None:
        with accepted:
            accepted.settimeout(10)
            connection = Connection(accepted)
            try:
                while request := connection.read():
                    self.requests.append(request)
                    if script(connection) is not again:
                        return
            except (ConnectionError, TimeoutError):
                pass
            except BaseException as problem:
                self._problems.append(problem)

    def wait_for_leave(self, connection: Connection) -> None:
        """A script's last act: note the moment at which the client hangs up."""
        if connection.until_left():
            self.left_at = time.monotonic()
            self.left.set()


def again(_: Connection) -> None:
    """What a script returns to be played for the next request of the same connection."""
