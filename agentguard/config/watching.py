"""The policy of a folder as its files say, taken in anew when they change.

Rules:
- files are looked at when a call asks for the policy, twice a second at most; a look costs one `stat` a file;
- what changed is read when it has been still for half a second, and counts only if it was still while it was read;
- it comes into force in one step: tools, rules, approvals, limits, masking and pins of one reading, or nothing of it;
- files that don't load or look cut off change nothing: the last good policy stays in force, and log and journal say so;
- a change is on record before any call is judged by it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from agentguard.audit import Journal
from agentguard.config.files import Reading, policy_files, read_all
from agentguard.errors import ConfigurationError, PolicyError
from agentguard.guard.in_force import InForce
from agentguard.model.events import Reloaded
from agentguard.model.problems import Place, Problem
from agentguard.policy import Policy

LOOK_SECONDS = 0.5
STILL_SECONDS = 0.5
AGAIN_SECONDS = 60.0
"""How often files that were refused are tried again, and spoken of again."""
TOLD_MAX = 10
"""How many problems of a refused edit are put on record."""
END = "..."
"""YAML's mark for the end of a document."""

_log = logging.getLogger("agentguard.policy")

_Stamp = tuple[tuple[str, int, int, int, int, int], ...]


@dataclass(kw_only=True)
class Watched:
    """Gives what is in force (see `guard.in_force.Now`). Made with the reading that is in force at first; thread-safe.

    `seconds` and `wall_ns` are the clocks: one for how often to look, one to tell how old a file is.
    """

    folder: Path
    reading: Reading
    make: Callable[[Policy], InForce]
    journal: Journal
    seconds: Callable[[], float] = time.monotonic
    wall_ns: Callable[[], int] = time.time_ns
    _standing: InForce = field(init=False)
    _known: _Stamp | None = field(init=False)
    _seen: _Stamp = ()
    _refused: tuple[str, ...] = ()
    _due: float = 0.0
    _again: float = 0.0
    _lock: Lock = field(default_factory=Lock)
    _pid: int = field(default_factory=os.getpid)

    def __post_init__(self) -> None:
        self._standing = self.make(self.reading.policy)
        self._known = self._settled(self._stamp())

    def __call__(self) -> InForce:
        """What is in force now. Raises GuardUnavailable."""
        if self.seconds() >= self._due:
            self._look_once()
        return self._standing

    def _look_once(self) -> None:
        """Look, unless another thread is at it: its calls go on under what was in force when they asked."""
        if self._pid != os.getpid():
            self._lock, self._pid = Lock(), os.getpid()  # a thread of the parent may have held it
        if self._lock.acquire(blocking=False):
            try:
                self._due = self.seconds() + LOOK_SECONDS
                self._look()
            finally:
                self._lock.release()

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp == self._known and not (self._refused and self.seconds() >= self._again):
            return
        was_still = stamp == self._seen or self._is_still(stamp)
        self._seen = stamp
        if was_still:
            self._read(stamp)

    def _read(self, stamp: _Stamp) -> None:
        try:
            reading = read_all(self.folder)
            problems = tuple(map(str, _cut_off(self.reading.texts, reading.texts)))
        except Exception as error:  # noqa: BLE001 - whatever files do, the last good policy stays in force
            reading, problems = None, _told(error)
        if self._stamp() != stamp:
            return  # it changed meanwhile: the next look sees
        if reading is None or problems:
            self._refuse(problems)
            self._known = stamp
        else:
            self._take(reading)

    def _take(self, reading: Reading) -> None:
        before, now = self._standing.policy.version, reading.policy.version
        if now != before or self._refused:
            self.journal.append(
                "reloaded", Reloaded(outcome="taken", policy_version=now, previous=before), durable=True
            )
            self.journal.policy_version = now
            _log.warning("the policy in %s changed: %s is in force, in place of %s", self.folder, now, before)
        if now != before or reading.texts != self.reading.texts:  # the same policy may stand on other lines
            self._standing = self.make(reading.policy)
        self.reading, self._refused = reading, ()
        self._known = self._stamp() if now == before else self._settled(self._stamp())

    def _refuse(self, problems: tuple[str, ...]) -> None:
        version = self._standing.policy.version
        self._again = self.seconds() + AGAIN_SECONDS
        if problems != self._refused:
            line = Reloaded(outcome="refused", policy_version=version, previous=version, problems=problems)
            self.journal.append("reloaded", line, durable=True)
        self._refused = problems
        told = (
            "the policy in %s changed and does not load, so %s stays in force; `agentguard policy lint` tells all: %s"
        )
        _log.error(told, self.folder, version, "; ".join(problems))

    def _stamp(self) -> _Stamp:
        """Differs whenever a file was written, replaced, added or removed, wherever links lead to it."""
        return tuple(_stat(file) for file in sorted({*self.reading.files, *_listed(self.folder)}))

    def _settled(self, stamp: _Stamp) -> _Stamp | None:
        """The stamp, if it would differ after one more write: a file that is too new is read once more."""
        return stamp if self._is_still(stamp) else None

    def _is_still(self, stamp: _Stamp) -> bool:
        newest = max((max(mtime, ctime) for _, _, _, _, mtime, ctime in stamp), default=0)
        return newest <= self.wall_ns() - int(STILL_SECONDS * 1e9)


def _listed(folder: Path) -> list[Path]:
    try:
        return policy_files(folder)
    except (ConfigurationError, OSError):
        return []  # reading tells


def _stat(file: Path) -> tuple[str, int, int, int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (str(file), 0, 0, 0, 0, 0)
    return (str(file), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _cut_off(before: Mapping[Path, str], now: Mapping[Path, str]) -> Iterator[Problem]:
    """The files that end as if their writer had been stopped on the way."""
    for file, text in now.items():
        was, lines = before.get(file, "\n"), text.splitlines()
        place = Place(file=str(file), line=max(1, len(lines)), column=1)
        if text == was:
            continue
        if was.endswith("\n") and not text.endswith("\n"):
            yield Problem(place=place, what="it ends within a line, as if cut off", instead="end it with a line break")
        elif _is_marked(was) and not _is_marked(text):
            what = f"it no longer ends with {END!r}, as if cut off"
            yield Problem(place=place, what=what, instead=f"write {END} as its last line")


def _is_marked(text: str) -> bool:
    return text.rstrip().splitlines()[-1:] == [END]


def _told(error: Exception) -> tuple[str, ...]:
    if isinstance(error, PolicyError):
        return tuple(str(problem)[:300] for problem in error.problems[:TOLD_MAX])
    return (str(error)[:300] if isinstance(error, ConfigurationError) else f"can't be read ({type(error).__name__})",)
