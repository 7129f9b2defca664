"""Values that an operator named: what is never masked, and what always is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import re2

from agentguard.masking.finding import ALL, Finding
from agentguard.masking.page import Page
from agentguard.masking.tokens import canonical_value

DENIED = "deny list"


class AllowList:
    """What stays in clear, by entity type (`*`: whatever its type). In any case; `*` in a value is any run of characters but spaces."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._plain = {
            kind: frozenset(_canonical(kind, value) for value in listed if "*" not in value)
            for kind, listed in values.items()
        }
        self._globs = {kind: [_glob(value) for value in listed if "*" in value] for kind, listed in values.items()}

    def __bool__(self) -> bool:
        return bool(self._plain)

    def holds(self, entity_type: str, value: str) -> bool:
        """Whether a finding of this type and value is on the list."""
        return value != "" and any(
            _canonical(kind, value) in self._plain.get(kind, ())
            or any(glob.fullmatch(value.strip()) for glob in self._globs.get(kind, ()))
            for kind in (entity_type, ALL)
        )


class DenyList:
    """Finds the values that are always masked: whole words, in any case, whatever spaces stand between them.

    `memory`: how many bytes RE2 may take for the list. Raises ValueError for a list that is too long for it.
    """

    name = DENIED

    def __init__(self, values: Mapping[str, Sequence[str]], memory: int = 64 * 1024 * 1024) -> None:
        self._patterns = [(kind, _any_of(listed, memory)) for kind, listed in values.items()]
        if any(pattern is None for _, pattern in self._patterns):
            raise ValueError("the list is too long to be searched")

    def find(self, page: Page) -> Iterator[Finding]:
        """Each of the values."""
        for kind, pattern in self._patterns:
            for start, end in page.spans(pattern):
                if _is_whole(page.text, start, end):
                    yield Finding(start, end, kind, 1.0, self.name)


def _canonical(kind: str, value: str) -> str:
    return canonical_value(kind, value).casefold()


def _glob(value: str) -> re.Pattern[str]:
    return re.compile(r"[^\s]*".join(map(re.escape, value.split("*"))), re.IGNORECASE)


def _any_of(values: Sequence[str], memory: int) -> Any:
    """A pattern of RE2 for any of the values; None where they are too long for the memory."""
    options = re2.Options()
    options.max_mem, options.case_sensitive, options.log_errors = memory, False, False
    longest_first = sorted(values, key=lambda value: (-len(value), value))
    try:
        return re2.compile(_alternatives(longest_first), options)
    except re2.error:
        return None


def _alternatives(values: Sequence[str]) -> str:
    return "|".join(r"\s+".join(map(re2.escape, value.split())) for value in values)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether a span is no part of a longer word."""
    begins = not text[start].isalnum() or not text[start - 1 : start].isalnum()
    return begins and (not text[end - 1].isalnum() or not text[end : end + 1].isalnum())
