"""What is left alone in a text: tokens and redactions that stand in it already."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from agentguard.masking.anchors import Anchor
from agentguard.masking.marked import marked_tokens
from agentguard.masking.page import Page
from agentguard.masking.placed import Placed


@dataclass(slots=True)
class Kept:
    """Tells of tokens in a text: (start, end, what it is). `everywhere`: also where no anchor tells of one."""

    spans: Callable[[str], Iterable[tuple[int, int, str]]]
    everywhere: bool = False


TOKENS = Kept(marked_tokens)
NOTHING = Kept(lambda _: ())


def left_alone(text: str, kept: Kept) -> list[tuple[int, int]]:
    """Where tokens and redactions stand in a text, in order."""
    found = [(start, end) for start, end, _ in kept.spans(text)] if len(text) >= _SHORTEST_TOKEN else []
    if "redacted]" in text or " hmac " in text:
        found = sorted([*found, *(match.span() for match in _REDACTED.finditer(text))])
    return found


def kept_in(page: Page, kept: Kept) -> Kept:
    """What is left alone on this page: nothing where no anchor tells of it."""
    return NOTHING if not kept.everywhere and _KEPT.isdisjoint(page.anchors) else kept


def around(placed: Placed, text: str, kept: Kept) -> list[Placed]:
    """The finding without tokens and redactions that stand in it, trimmed; nothing where nothing is left."""
    found = text[placed.start : placed.end]
    alone = left_alone(found, kept) if kept is not NOTHING else []
    if not alone and found == found.strip():
        return [placed]
    pieces, done = [], 0
    for start, end in [*alone, (len(found), len(found))]:
        trimmed = found[done:start].strip()
        if any(c.isalnum() for c in trimmed):
            first = placed.start + found.index(trimmed, done)
            value = "" if alone else placed.value.strip()
            pieces.append(replace(placed, start=first, end=first + len(trimmed), value=value))
        done = max(done, end)
    return pieces


_SHORTEST_TOKEN = 10
_KEPT = frozenset({Anchor.TOKEN, Anchor.REDACTED})
_REDACTED = re.compile(r"\[[A-Z0-9_]{2,64} (?:redacted|hmac [a-p]{20})\]")
