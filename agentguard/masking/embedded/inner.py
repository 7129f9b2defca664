"""What is found inside a text: parts of it, each under a key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from agentguard.masking.keys import Key, Scope


class Spelling(Enum):
    """How a part is written, where it is not plain text."""

    JSON = "json"  # backslashes
    QUERY = "query"  # + and %xx
    SQL = "sql"  # quotes twice


class Inner(NamedTuple):
    """A span of a text under a key. `bare`: a JSON number or word, which needs quotes when text takes its place.

    `scope` is what lies under it, for text that holds fields once more.
    """

    start: int
    end: int
    key: Key
    scope: Scope
    bare: bool = False
    spelling: Spelling = Spelling.JSON


class Region(NamedTuple):
    """A stretch of a text with a form of its own, and the parts of it that have keys.

    `open`: it may go on where the text ends. `rows`: of a table, where its first row begins and where the row that may go on does.
    """

    start: int
    end: int
    parts: Sequence[Inner]
    open: bool = False
    rows: tuple[int, int] | None = None
    is_markup: bool = False


def lines_of(text: str, start: int = 0) -> Iterator[tuple[int, str]]:
    """The lines of a text with their offsets, without their line breaks."""
    at = start
    for line in text[start:].split("\n"):
        yield at, line.removesuffix("\r")
        at += len(line) + 1


def is_header(name: str) -> bool:
    """Whether this may be the name of a column."""
    first = name[:1] or " "
    return (
        (first.isalpha() or first in _FIRST) and len(name) <= 80 and name.count(" ") <= 5 and not _NO_NAME.search(name)
    )


_FIRST = frozenset("_@$#*")
_NO_NAME = re.compile(r"\w@[\w\-]+\.|\[[A-Z0-9]{1,24}_[0-9a-z]{10}\]")  # an address of e-mail, a token
