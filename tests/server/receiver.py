"""A real receiver of webhooks on loopback, which answers as a test tells it to."""

from __future__ import annotations

import queue
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agentguard.server.outgoing import ATTEMPT_SECONDS

WITHIN_SECONDS = 20.0


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic, compare=False)

    @property
    def id(self) -> str:
        """What a receiver knows a message again by."""
        return self.headers.get("webhook-id", "")


@dataclass
class Receiver:
    """What came in, in order. `answers` are given one after the other, then 204; (status, headers)."""

    port: int
    scheme: str = "http"
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    _came: queue.Queue[Received] = field(default_factory=queue.Queue)
    _taken: dict[str, float] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    def next(self) -> Received:
        """The next request, waited for."""
        received = self._came.get(timeout=WITHIN_SECONDS)
        self._taken[received.id] = received.at
        return received

    def nothing_more(self) -> bool:
        """Whether nothing else came so far: one that came again because its answer was late is nothing else."""
        return all(
            received.id and received.at - self._taken.get(received.id, received.at) >= ATTEMPT_SECONDS
            for received in list(self._came.queue)
        )

    def take(self, received: Received) -> tuple[int, dict[str, str]]:
        """Keep a request; gives its answer."""
        answer = self.answers.pop(0) if self.answers else (204, {})
        self._came.put(received)
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class _Answering(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, more = self.server.receiver.take(Received("POST", self.path, headers, body))
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing: tests read what came."""


@contextmanager
def receiving(
    *answers: int | tuple[int, dict[str, str]], tls: ssl.SSLContext | None = None, port: int = 0
) -> Iterator[Receiver]:
    """A receiver on a free port, with the answers it will give first."""
    server = _Server(("127.0.0.1", port), _Answering)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.receiver = Receiver(
        port=server.server_port,
        scheme="http" if tls is None else "https",
        answers=[(one, {}) if isinstance(one, int) else one for one in answers],
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
