"""Where a value stood before it stood in an argument: in what the user wrote, or in the results of tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from agentguard.model.wording import terms_of, wanted_of

RESULT_WINDOW = 2
"""How many words of a result stand together in one term; results are long."""

Value = str | int | float


class Provenance(Protocol):
    """What is known of a session's words. Each method raises LookupError, without the value, where nobody can tell."""

    def user_wrote(self, value: Value) -> bool:
        """Whether the value stands in what the user wrote in this session."""
        ...

    def came_from(self, value: Value) -> list[str]:
        """The tools in whose results the value stood, sorted."""
        ...


class PlainProvenance:
    """Provenance over texts that are at hand, as in cases. `said`: None where nobody told what the user wrote."""

    def __init__(self, said: str | None, results: Mapping[str, str]) -> None:
        self._said = None if said is None else terms_of(said).found
        self._results = {tool: terms_of(text, window=RESULT_WINDOW).found for tool, text in results.items()}

    def user_wrote(self, value: Value) -> bool:
        """See Provenance.user_wrote."""
        if self._said is None:
            raise LookupError("nobody told what the user wrote")
        return stands_in(wanted_of(value), self._said.__contains__)

    def came_from(self, value: Value) -> list[str]:
        """See Provenance.came_from."""
        wanted = wanted_of(value, window=RESULT_WINDOW)
        if not wanted:
            raise LookupError("too common to tell")
        return sorted(tool for tool, terms in self._results.items() if stands_in(wanted, terms.__contains__))


def stands_in(wanted: Sequence[Sequence[str]], found: Callable[[str], bool]) -> bool:
    """Whether all terms of one of these lists are found."""
    return any(all(map(found, terms)) for terms in wanted)
