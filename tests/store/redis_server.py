"""A real Redis of the tests' own: Debian's redis-server, on a Unix socket and, where asked, on loopback with TLS and a password.

Rules:
- its data lies in a folder of the test's own, and its memory is bounded;
- it is stopped, by its pid, by who started it;
- the Unix socket is always there, so that a test can look at what it does to others over TLS.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.server.certificates import Authority

BINARY = shutil.which("redis-server")
PASSWORD = "made-up-password"
STARTED_WITHIN_SECONDS = 10.0

needs_redis_server = pytest.mark.skipif(BINARY is None, reason="there is no redis-server here; Debian's package has it")


@dataclass
class RedisServer:
    """A redis-server on the socket of a folder, with every write synced, unless `options` say otherwise."""

    folder: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it listens, without a password."""
        return f"unix://{self._socket}"

    def start(self, *more: str, ready: bytes = b"") -> None:
        """Start it on the data that is there, and wait until it takes commands, or until it answers with `ready`."""
        words = [
            str(BINARY), "--port", "0", "--unixsocket", str(self._socket), "--dir", str(self.folder),
            "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory", "64mb",
            "--maxmemory-policy", "noeviction", *self.options, *more,
        ]  # fmt: skip
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + STARTED_WITHIN_SECONDS
        while not self.say("PING").startswith((ready,) if ready else (b"+PONG", b"-NOAUTH")):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text(errors="replace"))
            time.sleep(0.01)

    def stop(self) -> None:
        """End it, if it runs, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def say(self, command: str) -> bytes:
        """One inline command and the start of its reply; empty where there is none."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            line.settimeout(2)
            line.connect(str(self._socket))
            line.sendall(command.encode() + b"\r\n")
            return line.recv(4096)
        return b""

    @property
    def _socket(self) -> Path:
        return self.folder / "redis.sock"


@dataclass(frozen=True)
class SecureServer:
    """The same on loopback with TLS: `port`, the file of the authority that signed it, and a client's certificate and key."""

    server: RedisServer
    port: int
    authority: Path
    client: tuple[Path, Path]

    def url(self, *, password: str = PASSWORD, host: str = "localhost", options: str | None = None) -> str:
        """Where it listens; `options` in place of the ones that trust its authority."""
        trusting = f"ssl_ca_certs={self.authority}" if options is None else options
        return f"rediss://:{password}@{host}:{self.port}/0?{trusting}"


@contextmanager
def running(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A server for a moment."""
    folder.mkdir(exist_ok=True)
    server = RedisServer(folder, options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def running_securely(folder: Path, *options: str) -> Iterator[SecureServer]:
    """A server with TLS and a password for a moment; its certificate says `localhost`."""
    folder.mkdir(exist_ok=True)
    signer = Authority.new(folder)
    authority = folder / "authority.pem"
    authority.write_bytes(signer.certificate.public_bytes(Encoding.PEM))
    certificate, key = signer.files("localhost")
    port = _free_port()
    secure = [
        "--bind", "127.0.0.1", "--tls-port", str(port), "--requirepass", PASSWORD, "--tls-auth-clients", "no",
        "--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(authority),
    ]  # fmt: skip
    with running(folder, *secure, *options) as server:
        yield SecureServer(server, port, authority, signer.files("agent"))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
