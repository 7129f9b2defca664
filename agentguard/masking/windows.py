"""Where a long text is read in another way: around what is written so, and not all of it once more.

Rules:
- a short text is read whole;
- a window reaches far enough for whatever may stand around a change, its context too, and ends between lines, or else between words;
- where a block begins that ends far from its beginning (a private key), the rest of the text is read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from agentguard.masking.disguises import Changes
from agentguard.masking.views import View, changed_in, plain_view

Span = tuple[int, int]

_SHORT = 4_096
_REACH = 512
_BLOCK = "-----BEGIN"


def plain_views(text: str, parent: View | None) -> Iterator[View]:
    """A text in plain form, as far as it is written in another way."""

    def read(start: int, end: int) -> View | None:
        return plain_view(text[start:end], View.inside(text, start, end, (), parent))

    if len(text) <= _SHORT:
        whole = plain_view(text, parent)
        return iter(() if whole is None else (whole,))
    return _read(text, changed_in(text), read)


def views_of(text: str, changes: Changes, parent: View | None) -> Iterator[View]:
    """A text with these changes, as far as there are any."""

    def read(start: int, end: int) -> View:
        inside = changes[bisect_left(changes, (start,)) : bisect_left(changes, (end,))]
        moved = [(first - start, last - start, new) for first, last, new in inside]
        return View.inside(text, start, end, moved, parent)

    if len(text) <= _SHORT:
        return iter((View.of(text, changes, parent),))
    return _read(text, [change[:2] for change in changes], read)


def windows(text: str, changed: Iterable[Span]) -> Sequence[Span]:
    """The stretches of a text around what changes in it, in order and apart."""
    found: list[Span] = []
    least = 0
    for start, end in changed:
        if least == len(text) or (found and end + _REACH <= least):
            continue
        first, last = _begin(text, start - _REACH, least), _end(text, end + _REACH)
        if found and first <= least:
            first = found.pop()[0]
        found.append((first, last))
        least = last
    return found


def _read(text: str, changed: Iterable[Span], read: Callable[[int, int], View | None]) -> Iterator[View]:
    for start, end in windows(text, changed):
        view = read(start, end)
        is_block = view is not None and _BLOCK in view.text
        if is_block:
            view = read(start, len(text))
        if view is not None:
            yield view
        if is_block:
            return


def _begin(text: str, at: int, least: int) -> int:
    """The beginning of the line that holds this place, or of its word where that is far; `least`, where all before is taken."""
    near = max(least, at - _REACH)
    return text.rfind("\n", near, max(near, at)) + 1 or text.rfind(" ", least, near) + 1 or least


def _end(text: str, at: int) -> int:
    """The end of the line that holds this place, or of its word where that is far."""
    end = text.find("\n", at, at + _REACH)
    end = end if end != -1 else text.find(" ", at)
    return end if end != -1 else len(text)
