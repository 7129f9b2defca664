"""Processes that start the embedded server at once must get one server, and leave none when they end at once.

    python benchmarks/embedded_race.py --rounds 100

Exit code 1 if any round had more or fewer than one server, or left one behind.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from urllib.parse import unquote, urlsplit

from agentguard.errors import AgentGuardError
from agentguard.store.embedded import Embedded

SIZES = (2, 4, 16)
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round gave: the servers that the processes talk to, those on the data folder, and those left at the end."""

    answered: frozenset[int | str]
    running: frozenset[int]
    recorded: int
    left: frozenset[int]
    slowest_seconds: float

    @property
    def good(self) -> bool:
        """One server, the same for all, and none afterwards."""
        return len(self.running) == 1 and self.answered == self.running == {self.recorded} and not self.left


def race(processes: int, rounds: int) -> list[Round]:
    """Let that many processes start the server of a new folder at once, again and again."""
    with _workers(processes) as lines:
        return [_round(lines) for _ in range(rounds)]


def servers_on(folder: Path) -> frozenset[int]:
    """The process ids of the servers that work in a folder."""
    return frozenset(int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _serves(entry, folder))


def _round(lines: list[Connection]) -> Round:
    with tempfile.TemporaryDirectory(prefix="ag-race-") as name:
        folder = Path(name) / "valkey"
        for line in lines:
            line.send(name)
        told = [_heard(line) for line in lines]
        running = servers_on(folder)
        recorded = int((folder / "valkey.pid").read_text())
        for line in lines:
            line.send("release")
        ends = [_heard(line) for line in lines]
        return Round(
            answered=frozenset(pid for pid, _ in told) | {end for end, _ in ends if end != "released"},
            running=running,
            recorded=recorded,
            left=servers_on(folder),
            slowest_seconds=max(seconds for _, seconds in told),
        )


@contextmanager
def _workers(processes: int) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    pipes = [context.Pipe() for _ in range(processes)]
    workers = [context.Process(target=_work, args=(barrier, theirs)) for _, theirs in pipes]
    for worker in workers:
        worker.start()
    try:
        yield [ours for ours, _ in pipes]
    finally:
        for ours, _ in pipes:
            ours.send("")
        for worker in workers:
            worker.join()


def _work(barrier: Barrier, line: Connection) -> None:
    """One process: acquire and release together with the others, as often as it is told to."""
    while name := line.recv():
        barrier.wait(PATIENCE_SECONDS)
        began = time.perf_counter()
        with ExitStack() as stack:
            line.send((_got(Path(name), stack), time.perf_counter() - began))
            line.recv()
            barrier.wait(PATIENCE_SECONDS)
            line.send((_told(stack.close), 0.0))


def _got(state_dir: Path, stack: ExitStack) -> int | str:
    """The server's process id, or why there is none."""
    try:
        lease = Embedded.acquire(state_dir)
    except AgentGuardError as error:
        return str(error)
    stack.callback(lease.release)
    return server_pid(lease.url)


def _told(release: Callable[[], None]) -> str:
    try:
        release()
    except AgentGuardError as error:
        return str(error)
    return "released"


def server_pid(url: str) -> int:
    """The process that answers at a unix:// URL, as it says itself."""
    with socket.socket(socket.AF_UNIX) as line, line.makefile("rb") as replies:
        line.settimeout(PATIENCE_SECONDS)
        line.connect(unquote(urlsplit(url).path))
        line.sendall(b"INFO server\r\n")
        text = replies.read(int(replies.readline()[1:]))
    found = dict(entry.split(b":", 1) for entry in text.splitlines() if b":" in entry)
    return int(found[b"process_id"])


def _heard(line: Connection) -> tuple[int | str, float]:
    if not line.poll(PATIENCE_SECONDS):
        raise TimeoutError("a process of the race did not answer")
    heard: tuple[int | str, float] = line.recv()
    return heard


def _serves(entry: Path, folder: Path) -> bool:
    try:
        return (entry / "exe").readlink().name == "valkey-server" and (entry / "cwd").readlink() == folder
    except OSError:
        return False


def main() -> int:
    """Race in each size and print what came of it."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--rounds", type=int, default=100)
    rounds = reader.parse_args().rounds
    bad = 0
    for processes in SIZES:
        came = race(processes, rounds)
        good = sum(one.good for one in came)
        bad += rounds - good
        slowest = [one.slowest_seconds for one in came]
        print(
            f"{processes:3} processes at once: one server in {good} of {rounds} rounds;"
            f" the slowest of them had it after {median(slowest) * 1000:.0f} ms (median), {max(slowest) * 1000:.0f} ms (worst)"
        )
        for one in came:
            if not one.good:
                print("    ", one)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
