"""What a permitted call may do once, and under which fence it began."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Undertaking:
    """The deeds that a call began; `renewing` says meanwhile that it still runs."""

    deeds: tuple[str, ...]
    fence: str
    renewing: Future[Any] | None = None

    def stop(self) -> None:
        """Say no more that it runs."""
        if self.renewing is not None:
            self.renewing.cancel()


NOTHING = Undertaking(deeds=(), fence="")
"""That of a call which may run any number of times."""
