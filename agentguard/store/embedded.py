"""The embedded server: one Valkey for one state directory, started by whoever needs it first.

Rules:
- `start.lock` is held alone while the server is started or stopped; whether it runs is asked again inside it, so there is one server;
- `users.lock` is shared by every user for as long as it uses the server; who gets it alone is the last, and stops the server;
- a server that a killed user left is adopted by the next start;
- a server whose folder was removed can be found by nobody any more: its starter ends it;
- a forked child neither holds nor stops its parent's server;
- the server listens on a private Unix socket only, and every write is on the disk before it is acknowledged.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from agentguard.errors import ConfigurationError, GuardUnavailable
from agentguard.store.inherited import keep
from agentguard.store.locks import POLL_SECONDS, FileLock
from agentguard.store.valkey import ServerFolder, answers, ask_to_stop, check_private, launch

START_SECONDS = 10.0
STOP_SECONDS = 10.0
TURN_SECONDS = START_SECONDS + STOP_SECONDS
"""How long another process may be starting or stopping it before we give up."""


class Lease:
    """One user's hold on the server; `url` is where it is. Released by `release`, or when the process ends normally."""

    def __init__(self, folder: ServerFolder, users: FileLock) -> None:
        self.url = f"unix://{quote(str(folder.socket))}"
        self._folder = folder
        self._users = users
        self._releasing = threading.Lock()
        atexit.register(self.release)

    def release(self) -> None:
        """Stop using the server; its last user stops it. Nothing happens the second time, or in a forked child."""
        atexit.unregister(self.release)
        with self._releasing:
            if self._users.closed:
                return
            if not self._users.in_place:
                self._users.release()
                _end_own(self._folder)
                return
            with _turn(self._folder):
                self._users.release()
                _stop_if_unused(self._folder)

    def __repr__(self) -> str:
        return f"Lease({self.url!r})"


class Embedded:
    """Starts or joins the server of a state directory."""

    @staticmethod
    def acquire(state_dir: Path) -> Lease:
        """A lease on the running server, started if need be.

        Raises ConfigurationError where there is no binary or no usable directory, GuardUnavailable if it does not start.
        """
        folder = _prepared(state_dir)
        with _turn(folder):
            users = FileLock(folder.users_lock)
            try:
                users.share()
                _bring_up(folder)
                return Lease(folder, users)
            except BaseException:
                users.release()
                raise


def stop_left_over(state_dir: Path) -> bool:
    """Stop a server that nobody uses; whether there was one. Raises as `acquire` does."""
    folder = _folder(state_dir)
    if not folder.path.is_dir():
        return False
    with _turn(folder):
        return _stop_if_unused(folder)


def _folder(state_dir: Path) -> ServerFolder:
    return ServerFolder(state_dir.expanduser().absolute() / "valkey")


def _prepared(state_dir: Path) -> ServerFolder:
    folder = _folder(state_dir)
    with _usable(folder):
        folder.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.path.mkdir(mode=0o700, exist_ok=True)
        check_private(folder.path)
    return folder


@contextmanager
def _usable(folder: ServerFolder) -> Iterator[None]:
    """A folder that can't be made, written or locked is a wrong setting."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{folder.path}: can't be used for the embedded server ({error.strerror}); set AGENTGUARD_STATE_DIR"
        ) from None


@contextmanager
def _turn(folder: ServerFolder) -> Iterator[None]:
    """The only process that starts or stops this server."""
    with _usable(folder), FileLock(folder.start_lock) as lock:
        if not lock.take(TURN_SECONDS):
            raise GuardUnavailable(
                "embedded server", f"another process has been starting or stopping it: {folder.path}"
            )
        yield


def _bring_up(folder: ServerFolder) -> None:
    """A server that answers: the one that runs, or a new one. In turn."""
    until = time.monotonic() + START_SECONDS
    while True:
        server = FileLock(folder.server_lock)
        try:
            if server.take_now():
                return _start(folder, server, until)
        finally:
            server.hand_over()
        if answers(folder.socket):
            return None
        if time.monotonic() > until:
            raise GuardUnavailable("embedded server", f"it runs and does not answer: end process {_pid(folder)}")
        time.sleep(POLL_SECONDS)


def _start(folder: ServerFolder, lock: FileLock, until: float) -> None:
    path = folder.choose_socket()
    process = launch(folder, path, lock)
    try:
        while not answers(path):
            _check_still_starting(folder, process, until)
            time.sleep(POLL_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    _own[folder] = process
    threading.Thread(target=_bury, args=[folder, process], name="agentguard-server", daemon=True).start()


def _check_still_starting(folder: ServerFolder, process: subprocess.Popen[bytes], until: float) -> None:
    if process.poll() is not None:
        raise GuardUnavailable("embedded server", f"it ended at its start: {_last_line(folder)}")
    if time.monotonic() > until:
        raise GuardUnavailable("embedded server", f"not ready in {START_SECONDS:.0f} s: {_last_line(folder)}")


def _bury(folder: ServerFolder, process: subprocess.Popen[bytes]) -> None:
    """The server may outlive its starter; if it does not, the starter keeps no zombie."""
    process.wait()
    if _own.get(folder) is process:
        del _own[folder]


def _end_own(folder: ServerFolder) -> None:
    """End the server that this process started in a folder that is gone."""
    if (process := _own.get(folder)) is not None:
        process.terminate()


def _stop_if_unused(folder: ServerFolder) -> bool:
    """Stop the server if nobody uses it; whether it was stopped. In turn."""
    with FileLock(folder.users_lock) as users, FileLock(folder.server_lock) as server:
        if not users.take_now() or server.take_now():
            return False
        ask_to_stop(folder.socket)
        if not server.take(STOP_SECONDS):
            raise GuardUnavailable("embedded server", f"it does not stop: end process {_pid(folder)}")
        return True


def _pid(folder: ServerFolder) -> str:
    try:
        return folder.pid_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return "that has its files open"


def _last_line(folder: ServerFolder) -> str:
    lines = folder.log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "it said nothing")


_own: dict[ServerFolder, subprocess.Popen[bytes]] = {}
"""The servers that this process started and that still run."""


def _disown() -> None:
    """In a forked child: they are its parent's."""
    keep(dict(_own))
    _own.clear()


os.register_at_fork(after_in_child=_disown)
