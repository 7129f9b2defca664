"""What happened in a schedule, written down outside of Redis by whoever did it.

One JSON line when something begins and one when it ends, each in one write to one file, so that a process may be killed at any moment and
what it had begun is there. Times are of the monotonic clock, which is one for all processes of a machine.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NEVER = float("inf")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that somebody did, from when to when; `result` is empty and `ended` NEVER where nobody ever heard.

    Kinds:
    - call: an agent's call until its answer (ran, refused: why, fault, pending, cancelled, killed, stuck)
    - permit: the move that gives a permit, as it was seen on the wire (redeemed, or why not)
    - run: a tool ran
    - vote: a person's decision (the state then, refused: code, or fault)
    - edit: a person's change of a waiting call (ok, refused: code, or fault)
    - freeze, lift: an order, by scope and name (ok, refused: code, or fault)
    - settle: a person's word on an effect (did-not, happened)
    - death: a process, or what plays one, ended without a word
    - stored: a request as it stood at the end, with the people whose approvals count
    """

    kind: str
    began: float
    ended: float = NEVER
    result: str = ""
    who: str = ""
    call: str = ""
    request: str = ""
    fence: str = ""
    revision: int = 0
    agent: str = ""
    tool: str = ""
    effect: str = ""
    decision: str = ""
    scope: str = ""
    name: str = ""
    people: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = {name: value for name, value in vars(self).items() if value and name not in ("began", "ended")}
        return f"{self.began:.4f}..{self.ended:.4f} {said}"


@dataclass(frozen=True)
class Recorder:
    """Writes events to a file, from any process."""

    file: Path

    def begin(self, kind: str, **given: Any) -> str:
        """Note that something begins; gives what to end it by."""
        op = secrets.token_hex(8)
        self._write({"op": op, "at": time.monotonic(), "kind": kind, **given})
        return op

    def end(self, op: str, result: str, **given: Any) -> None:
        """Note how it ended."""
        self._write({"op": op, "at": time.monotonic(), "result": result, **given})

    def at_once(self, kind: str, result: str = "ok", **given: Any) -> None:
        """Note what takes no time."""
        self.end(self.begin(kind, **given), result)

    def _write(self, line: dict[str, Any]) -> None:
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, json.dumps(line).encode() + b"\n")
        finally:
            os.close(descriptor)

    def read(self) -> Sequence[Event]:
        """All events, by when they began."""
        return sorted(self._events(), key=lambda event: event.began)

    def _events(self) -> Iterator[Event]:
        begun: dict[str, dict[str, Any]] = {}
        for text in self.file.read_text().splitlines():
            line = json.loads(text)
            op, at = line.pop("op"), line.pop("at")
            if op in begun:
                begun[op] |= {"ended": at, **line}
            else:
                begun[op] = {"began": at, **line}
        for found in begun.values():
            yield Event(**{**found, "people": tuple(found.get("people", ()))})
