"""What a detector is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from agentguard.masking.finding import Finding
from agentguard.masking.page import Page


class Detector(Protocol):
    """Finds data of some kind on a page. Pure, and linear in the length of the page."""

    @property
    def name(self) -> str:
        """Stands in findings and in the error that names a detector which failed."""
        ...

    def find(self, page: Page) -> Iterable[Finding]:
        """What it found, also below the threshold; findings may overlap those of others."""
        ...


@runtime_checkable
class Anchored(Detector, Protocol):
    """A detector that need not be asked about every page."""

    @property
    def anchors(self) -> frozenset[int]:
        """It finds something only where one of these stands on the page."""
        ...
