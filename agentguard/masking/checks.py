"""What masking can't do of what a policy says, for the policy's loader: (path, what, what to write instead)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from agentguard.masking.coarser import COARSER, TELLING
from agentguard.masking.fields import Fields
from agentguard.masking.finding import ALL, THRESHOLD
from agentguard.masking.lists import DenyList
from agentguard.masking.recognisers import BadPattern, Recogniser, Recognisers, WrittenRecogniser, recogniser_of
from agentguard.masking.sheet import Sheet
from agentguard.masking.tokens import canonical_value

Found = tuple[tuple[str | int, ...], str, str]


class Pattern(WrittenRecogniser, Protocol):
    """A recogniser with the examples that it must pass."""

    @property
    def match(self) -> Sequence[str]:
        """Texts in which it finds something."""
        ...

    @property
    def no_match(self) -> Sequence[str]:
        """Texts in which it finds nothing."""
        ...


class MaskingTerms(Protocol):
    """What is read of a policy's `masking` section."""

    @property
    def actions(self) -> Mapping[str, Any]:
        """Entity type, path, or "*", to what happens to it."""
        ...

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Entity type, or "*", to the score from which a finding counts."""
        ...

    @property
    def patterns(self) -> Mapping[str, Pattern]:
        """Recognisers by name."""
        ...

    @property
    def allow(self) -> Mapping[str, Sequence[str]]:
        """Entity type, or "*", to values that are never masked."""
        ...

    @property
    def deny(self) -> Mapping[str, Sequence[str]]:
        """Entity type to values that always are."""
        ...


class ToolMasking(Protocol):
    """What is read of a tool's `masking`."""

    @property
    def result(self) -> Mapping[str, Any] | None:
        """As `MaskingTerms.actions`."""
        ...

    @property
    def arguments(self) -> Mapping[str, Any] | None:
        """As `MaskingTerms.actions`."""
        ...


class Tool(Protocol):
    """What is read of a tool's entry."""

    @property
    def masking(self) -> ToolMasking | None:
        """The knob."""
        ...


class Document(Protocol):
    """What is read of a policy document."""

    @property
    def masking(self) -> MaskingTerms:
        """The section."""
        ...

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The entries by pattern."""
        ...


def check_masking(document: Document) -> Iterator[Found]:
    """Each pattern that fails, each action that can't be carried out, each value on both lists."""
    masking = document.masking
    yield from check_patterns(("masking", "patterns"), masking.patterns, masking.thresholds)
    yield from _check_actions(("masking", "actions"), masking.actions)
    for pattern, tool in document.tools.items():
        for direction in ("result", "arguments") if tool.masking is not None else ():
            actions = getattr(tool.masking, direction) or {}
            yield from _check_actions(("tools", pattern, "masking", direction), actions)
    yield from _check_lists(masking)


def check_patterns(
    path: tuple[str | int, ...], patterns: Mapping[str, Pattern], thresholds: Mapping[str, float]
) -> Iterator[Found]:
    """Each recogniser that can't be built, or that one of its examples contradicts."""
    recognisers = []
    for name, written in patterns.items():
        try:
            recogniser = recogniser_of(name, written)
        except BadPattern as bad:
            yield (*path, name, bad.key), bad.what, bad.instead
            continue
        recognisers.append(recogniser)
        least = thresholds.get(written.entity, thresholds.get(ALL, THRESHOLD))
        for index, text in enumerate(written.match):
            best = _best(recogniser, text)
            if best < least:
                found = f"scores {best:.2f} in it, below {least:.2f}" if best else "finds nothing in it"
                yield (*path, name, "match", index), f"an example that must match does not: {name} {found}", _INSTEAD
        for index, text in enumerate(written.no_match):
            if _best(recogniser, text) >= least:
                yield (
                    (*path, name, "no_match", index),
                    f"{name} finds something in an example that it must not",
                    _INSTEAD,
                )


_INSTEAD = "correct the pattern, its context, checksum or score, or the example"


def _best(recogniser: Recogniser, text: str) -> float:
    """The highest score of what it finds in a text; 0 where it finds nothing."""
    page = Sheet.of_text(text, _FIELDS).page
    return max((finding.score for finding in Recognisers([recogniser]).find(page)), default=0.0)


_FIELDS = Fields()


def _check_actions(path: tuple[str | int, ...], actions: Mapping[str, Any]) -> Iterator[Found]:
    for key, there in actions.items():
        of_types = there if isinstance(there, Mapping) else {key: there}
        if isinstance(there, Mapping) and "." not in key:
            yield (*path, key), f"{key} is no path, so it has one action", 'write one, or a path: "**.note"'
        for kind, action in of_types.items():
            if action == "generalise" and kind in TELLING:
                where = (*path, key) if kind == key else (*path, key, kind)
                yield where, f"nothing coarser is known of {kind}", f"write redact; known: {', '.join(sorted(COARSER))}"


def _check_lists(masking: MaskingTerms) -> Iterator[Found]:
    allowed = {canonical_value(kind, value).casefold() for kind in masking.allow for value in masking.allow[kind]}
    for kind, values in masking.deny.items():
        try:
            DenyList({kind: values})
        except ValueError as error:
            yield ("masking", "deny", kind), str(error), "write fewer values, at most some ten thousand"
        for index, value in enumerate(values):
            if canonical_value(kind, value).casefold() in allowed:
                yield ("masking", "deny", kind, index), "this value is on the allow list too", "take it off one of them"
            elif not any(map(str.isalnum, value)):
                yield ("masking", "deny", kind, index), "this value has no letter and no digit", "write a whole value"
    for kind, values in masking.allow.items():
        for index, value in enumerate(values):
            if sum(map(str.isalnum, value)) < _LEAST_ALLOWED:
                what = "this value would allow nearly anything"
                yield ("masking", "allow", kind, index), what, f"write a value, or a part and {ALL}: {ALL}@acme.example"


_LEAST_ALLOWED = 3
