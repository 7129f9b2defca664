"""A server of the test's own that speaks just enough of Redis to misbehave."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

GREETINGS = {b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n", b"CLIENT": b"+OK\r\n", b"PING": b"+PONG\r\n"}


class RudeServer:
    """Greets, then answers every other command with `reply`; an empty one hangs up. `heard` lists those commands."""

    def __init__(self, reply: bytes = b"") -> None:
        self.heard: list[bytes] = []
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self._lines: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def __enter__(self) -> RudeServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for line in self._lines:
            line.close()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self._lines.append(line)
            threading.Thread(target=self._talk, args=[line], daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        with line.makefile("rb") as commands:
            while header := commands.readline():
                words = [commands.read(int(commands.readline()[1:]) + 2)[:-2] for _ in range(int(header[1:]))]
                reply = GREETINGS.get(words[0])
                if reply is None:
                    self.heard.append(words[0])
                    reply = self._reply
                if not reply:
                    line.shutdown(socket.SHUT_RDWR)
                    return
                line.sendall(reply)
