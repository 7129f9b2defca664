"""What calls were judged by, sealed, for a few days: so that another policy can be tried on them.

Rules:
- a call is sealed under an id of its own, which its line in the journal names; nothing of it stands anywhere in clear;
- each hour has a file, which is removed once its first call is older than the days that calls are kept: when a guard is
  opened, and each hour in which one keeps calls;
- that a call can't be kept stops no call: its line names no id then.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from agentguard.model.facts import Facts
from agentguard.model.limits import Charge
from agentguard.model.record import Record
from agentguard.store.seal import SealBroken, Sealer

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

_FILE = re.compile(r"(\d{13})\.sealed")
_log = logging.getLogger("agentguard.audit")


class KeptCall(Record):
    """What a call was judged by: its arguments (JSON text), its facts, and what it took from which limits."""

    arguments: str
    facts: Facts
    limits: tuple[str, ...] = ()

    @classmethod
    def of(cls, arguments: str, facts: Facts, charges: tuple[Charge, ...]) -> KeptCall:
        """What is kept of a call."""
        return cls(arguments=arguments, facts=facts, limits=tuple(map(counted, charges)))


def counted(charge: Charge) -> str:
    """What a charge counts, whatever follows from it."""
    return repr((charge.limit, charge.scope, charge.amount, charge.most, charge.window_ms, charge.subjects))


@dataclass(kw_only=True)
class KeptCalls:
    """The calls that are kept in a folder, for `days`; with 0 none is. For several threads and processes at once."""

    directory: Path
    sealer: Sealer
    days: int
    now_ms: Callable[[], int]
    _hour_ms: int = -1

    def keep(self, call: KeptCall) -> str:
        """Keep a call; gives the id that opens it again, or none where it isn't kept."""
        call_id = secrets.token_hex(8)
        sealed = self.sealer.seal(call.model_dump_json().encode(), _context(call_id))
        try:
            self._append(b"%b %b\n" % (call_id.encode(), base64.b64encode(sealed)))
        except OSError as error:
            _log.error("a call can't be kept for replay (%s); it goes on", type(error).__name__)
            return ""
        return call_id

    def read(self) -> Kept:
        """All calls that are kept now and not too old."""
        self.sweep()
        found: dict[str, bytes] = {}
        for _, path in self._files():
            for line in path.read_bytes().splitlines():
                call_id, _, sealed = line.partition(b" ")
                found[call_id.decode(errors="replace")] = sealed
        return Kept(sealer=self.sealer, sealed=found)

    def sweep(self) -> None:
        """Remove what is older than calls are kept."""
        oldest_ms = self.now_ms() - self.days * DAY_MS
        for started_ms, path in self._files():
            if started_ms < oldest_ms or not self.days:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[int, Path]]:
        for path in sorted(self.directory.glob("*.sealed")):
            matched = _FILE.fullmatch(path.name)
            if matched:
                yield int(matched[1]), path

    def _append(self, line: bytes) -> None:
        """Add a line to this hour's file, in one write. Raises OSError."""
        hour_ms = self.now_ms() // HOUR_MS * HOUR_MS
        if hour_ms != self._hour_ms:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.sweep()
            self._hour_ms = hour_ms
        fd = os.open(self.directory / f"{hour_ms:013d}.sealed", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            os.write(fd, line)
        finally:
            os.close(fd)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Calls as they were kept, sealed, by id."""

    sealer: Sealer
    sealed: dict[str, bytes] = field(repr=False)

    def call(self, call_id: str) -> KeptCall | None:
        """The call with this id; None where it is not there any more, or does not open."""
        sealed = self.sealed.get(call_id)
        if sealed is None:
            return None
        try:
            return KeptCall.read(self.sealer.open(base64.b64decode(sealed, validate=True), _context(call_id)))
        except (SealBroken, ValidationError, binascii.Error):
            return None


def _context(call_id: str) -> str:
    return f"kept call {call_id}"
