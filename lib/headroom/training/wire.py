"""What ranks say to the driver while they run. Horovod brings their output only when they end."""

import hmac
import io
import json
import os
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

MARK = "headroom-rank "
_MAX_LINE = 1 << 16  # bytes
_PATIENCE_SECONDS = 10.0  # for a connection, and for a line to leave
_DRAIN_SECONDS = 3.0

Words = dict[str, Any]  # what JSON can hold; always has `event` and `rank`


@dataclass(frozen=True)
class Address:
    """Where the driver listens, and what a rank shows to be let in."""

    host: str
    port: int
    token: str


class Wire:
    """The end of a rank: lines over TCP while the connection holds, else marked lines on stderr."""

    def __init__(self, rank: int, address: Address) -> None:
        self._rank = rank
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        with suppress(OSError):
            place = (address.host, address.port)
            self._socket = socket.create_connection(place, timeout=_PATIENCE_SECONDS)
            self._socket.sendall(address.token.encode() + b"\n")

    def say(self, event: str, **words: Any) -> None:
        """Tells the driver one thing. Never raises: a training does not end for want of a word."""
        line = json.dumps({"event": event, "rank": self._rank, **words}).encode()
        with self._lock:
            if self._socket is not None:
                try:
                    self._socket.sendall(line + b"\n")
                    return
                except OSError:
                    self._socket = None
        # One write past every buffer: the process may be dying.
        os.write(2, b"\n" + MARK.encode() + line + b"\n")

    @contextmanager
    def printing(self) -> Iterator[None]:
        """Inside, what the rank prints reaches the driver line by line."""
        if self._socket is None:
            yield
            return
        with redirect_stdout(_Lines(self.say)):
            yield

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class _Lines(io.TextIOBase):
    def __init__(self, say: Callable[..., None]) -> None:
        self._say = say
        self._piece = ""

    def write(self, text: str) -> int:
        *lines, self._piece = (self._piece + text).split("\n")
        for line in lines:
            self._say("printed", line=line[: _MAX_LINE // 8])
        return len(text)


class Listener:
    """The end of the driver: hands what ranks say to `hear`, one call at a time."""

    def __init__(self, hear: Callable[[Words], None], host: str, is_local: bool) -> None:
        self._lock = threading.Lock()
        self._open = 0
        token = secrets.token_hex(16)
        listener = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                if not hmac.compare_digest(self.rfile.readline(64).strip(), token.encode()):
                    return
                with listener._counted(), suppress(OSError, ValueError):
                    while line := self.rfile.readline(_MAX_LINE):
                        words = json.loads(line)
                        with listener._lock:
                            hear(words)

        self._server = socketserver.ThreadingTCPServer(
            ("127.0.0.1" if is_local else "", 0), Handler
        )
        self._server.daemon_threads = True
        self._server.block_on_close = False  # a frozen rank keeps its connection
        port = self._server.server_address[1]
        self.address = Address("127.0.0.1" if is_local else host, port, token)

    def __enter__(self) -> "Listener":
        threading.Thread(
            target=self._server.serve_forever, name="ranks-listener", daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Waits a little for last words."""
        until = time.monotonic() + _DRAIN_SECONDS
        while self._open and time.monotonic() < until:
            time.sleep(0.05)
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
