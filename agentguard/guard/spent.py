"""Permits that were taken on this machine, so that a claim which somebody wipes from Redis is not given twice.

A file in the state directory for each, made once (O_EXCL) right after the permit was redeemed and before the tool runs. It is named by the
time after which the request can't be redeemed any more, and then removed. Processes on other machines have state directories of their own.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agentguard.errors import DecisionRefused, GuardUnavailable
from agentguard.model.approvals import Request

SWEEP_MS = 60_000
"""How often old notes are looked for: there may be thousands, and each permit would look at all of them."""


@dataclass(frozen=True)
class Spent:
    """The permits taken, under `directory`."""

    directory: Path
    _swept: list[int] = field(default_factory=list)

    def take(self, request: Request, now_ms: int) -> None:
        """Note that the permit of this request is taken. Raises DecisionRefused ("forged") where it was before, GuardUnavailable."""
        try:
            if not self.directory.is_dir():
                self.directory.mkdir(mode=0o700, parents=True)
            if not self._swept or now_ms - self._swept[0] >= SWEEP_MS:
                self._swept[:] = [now_ms]
                self._forget(now_ms)
            is_new = self._make(self._file(request))
        except OSError as error:
            told = f"a permit can't be noted ({error.strerror})"
            raise GuardUnavailable("journal", told) from None
        if not is_new:
            raise DecisionRefused("forged", "its permit was given here before, and Redis gave it again")

    @staticmethod
    def _make(file: Path) -> bool:
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            return True
        return False

    def _file(self, request: Request) -> Path:
        return self.directory / f"{request.redeem_by_ms}.{request.id}"

    def _forget(self, now_ms: int) -> None:
        for file in self.directory.iterdir():
            until, _, _ = file.name.partition(".")
            if until.isdigit() and int(until) < now_ms:
                with suppress(FileNotFoundError):
                    file.unlink()
