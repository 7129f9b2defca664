"""Recognisers that are written down rather than programmed: a pattern of RE2, context words, a checksum.

Rules:
- evidence adds up: what the form is worth by itself, a checksum that holds (or doesn't), a word of the context beside it or in its key;
- all patterns are searched at once; only those that match somewhere are looked for one by one;
- what RE2 refuses, and a pattern that matches nothing at all, can't be built; where the search itself fails, the value is refused.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import re2

from agentguard.masking.detectors.named_checksums import CHECKSUMS, holds
from agentguard.masking.finding import Finding
from agentguard.masking.limits import refused
from agentguard.masking.page import Page
from agentguard.masking.phrases import split

FORM_ALONE = 0.6
FORM_WITH_MORE = 0.3
"""What a form is worth where nothing else is said: enough by itself, or not enough where a checksum or context words are given."""

BY_CHECKSUM = 0.35
BY_CONTEXT = 0.35
MOST = 0.98

_ANYTHING = r"(?s:.)"


class BadPattern(ValueError):
    """A recogniser that can't be built: which key of it is wrong, how, and what to write instead."""

    def __init__(self, key: str, what: str, instead: str) -> None:
        super().__init__(what)
        self.key, self.what, self.instead = key, what, instead


@dataclass(frozen=True, kw_only=True)
class Recogniser:
    """One of them. `score`: what the form alone is worth. Raises BadPattern for a pattern or a checksum that there is not."""

    name: str
    entity_type: str
    pattern: str
    score: float | None = None
    context: tuple[str, ...] = ()
    checksum: str | None = None
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", _compiled(self.pattern))
        if self.checksum is not None and self.checksum not in CHECKSUMS:
            instead = f"there are: {', '.join(sorted(CHECKSUMS))}"
            raise BadPattern("checksum", f"there is no checksum {self.checksum!r}", instead)

    @property
    def form(self) -> float:
        """What the form alone is worth."""
        if self.score is not None:
            return self.score
        return FORM_WITH_MORE if self.context or self.checksum else FORM_ALONE

    def find(self, page: Page, around: dict[tuple[int, int], str]) -> Iterator[Finding]:
        """What matches, with its score. `around`: the words around spans of the page, as far as they were asked for."""
        for span in page.spans(self._compiled):
            yield Finding(*span, self.entity_type, self._score(page, span, around), self.name)

    def _score(self, page: Page, span: tuple[int, int], around: dict[tuple[int, int], str]) -> float:
        score = self.form
        if self.checksum is not None:
            score += BY_CHECKSUM if holds(self.checksum, page.text[span[0] : span[1]]) else -BY_CHECKSUM
        if self.context:
            words = around.get(span)
            if words is None:
                words = around[span] = page.context(*span)
            score += BY_CONTEXT if _speaks(self.context, words) else 0.0
        return round(min(MOST, max(0.0, score)), 2)


class WrittenRecogniser(Protocol):
    """A recogniser as a policy or a pack writes it."""

    @property
    def entity(self) -> str:
        """The type of what it finds."""
        ...

    @property
    def pattern(self) -> str:
        """In the syntax of RE2."""
        ...

    @property
    def score(self) -> float | None:
        """What the form alone is worth."""
        ...

    @property
    def context(self) -> tuple[str, ...]:
        """Words that speak for it."""
        ...

    @property
    def checksum(self) -> str | None:
        """A name of CHECKSUMS."""
        ...


def recogniser_of(name: str, written: WrittenRecogniser) -> Recogniser:
    """The recogniser that is written so. Raises BadPattern."""
    return Recogniser(
        name=name,
        entity_type=written.entity,
        pattern=written.pattern,
        score=written.score,
        context=written.context,
        checksum=written.checksum,
    )


class Recognisers:
    """Many of them as one detector. `memory`: how many bytes RE2 may take.

    Raises BadPattern where they are too many or too large to be searched at once.
    """

    name = "patterns"

    def __init__(self, recognisers: Sequence[Recogniser], memory: int = 64 * 1024 * 1024) -> None:
        self._recognisers = tuple(recognisers)
        self.by_name = {recogniser.name: recogniser for recogniser in self._recognisers}
        options = _options()
        options.max_mem = memory
        self._set = re2.Set.SearchSet(options)
        for recogniser in self._recognisers:
            self._set.Add(recogniser.pattern)
        self._sentinel = self._set.Add(_ANYTHING)
        if not _is_built(self._set):
            raise BadPattern("pattern", "all patterns together are too large", "write fewer or shorter ones")

    def find(self, page: Page) -> Iterator[Finding]:
        """What any of them finds."""
        if not page.encoded:
            return
        there = self._set.Match(page.encoded) or ()
        if self._sentinel not in there:
            raise refused("the search for patterns failed; use fewer or shorter ones")
        around: dict[tuple[int, int], str] = {}
        for number in there:
            if number != self._sentinel:
                yield from self._recognisers[number].find(page, around)


def _is_built(patterns: Any) -> bool:
    try:
        patterns.Compile()
    except re2.error:
        return False
    return True


def _compiled(pattern: str) -> Any:
    compiled, refusal = None, ""
    try:
        compiled = re2.compile(pattern, _options())
    except re2.error as error:
        refusal = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
    if compiled is None:
        what = f"RE2 refuses this pattern: {refusal}"
        raise BadPattern("pattern", what, "write it without look-around and back references")
    if compiled.fullmatch(b"") is not None:
        raise BadPattern("pattern", "this pattern matches the empty text", "say what must stand there")
    return compiled


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


def _speaks(context: tuple[str, ...], around: str) -> bool:
    """Whether a word of the context stands around a finding. Words and phrases are whole, in any case and without accents."""
    stems, pattern = _any_word(context)
    return any(stem in around for stem in stems) and pattern.search(around) is not None


@lru_cache(maxsize=1024)
def _any_word(context: tuple[str, ...]) -> tuple[tuple[str, ...], Any]:
    """The first word of each phrase, which are cheap to look for, and a pattern of all of them."""
    lower = [unicodedata.normalize("NFKC", written).lower() for written in context]
    spelled = sorted({word for written in lower for word in (written, split(written)) if word})
    words = "|".join(r"[\s_-]+".join(map(re2.escape, word.split())) for word in spelled)
    pattern = re2.compile(rf"(?:^|[^\pL\pN])(?:{words})(?:s?$|s?[^\pL\pN])")
    return tuple(sorted({word.split()[0] for word in spelled})), pattern
