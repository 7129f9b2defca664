"""What is unusual about a call, in sentences for those who decide. Pure, and computed by the guard: no word of the model's is in it.

The gravest come first:
- letters of several alphabets in one word, or characters that show nothing, in a value;
- an amount far over the usual one;
- a recipient that came from a tool's result, or that the user did not write;
- a recipient that nobody approved before;
- that the session read untrusted content.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from agentguard.masking import visible
from agentguard.session import Usual

TIMES_USUAL = 3
"""From so many times the usual amount on it is said."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What is looked at. `values`: the text in each argument; `origins`: where it stood before.

    `unsaid`: recipients that the user surely did not write.
    """

    tool: str
    values: Mapping[str, tuple[str, ...]]
    recipients: Mapping[str, tuple[str, ...]]
    amounts: Mapping[str, Decimal]
    origins: Mapping[str, tuple[str, ...]]
    unsaid: Collection[str]
    labels: Collection[str]
    usual: Usual


def oddities(looked: Looked) -> tuple[str, ...]:
    """Every oddity of a call, the gravest first."""
    kinds = (_disguised, _large, _not_the_users, _new, _untrusted)
    return tuple(sentence for kind in kinds for sentence in kind(looked))


def _disguised(looked: Looked) -> Iterator[str]:
    for name, values in looked.values.items():
        mixed = sorted({alphabet for value in values for alphabet in _mixed(value)})
        if mixed:
            yield f"{name} mixes {' and '.join(alphabet.title() for alphabet in mixed)} letters in one word"
        if any(visible(value) != value for value in values):
            yield f"{name} holds characters that show nothing; they are written as escapes here"


def _large(looked: Looked) -> Iterator[str]:
    for name, amount in looked.amounts.items():
        usual = looked.usual.amounts.get(name)
        if usual and amount >= TIMES_USUAL * usual:
            yield f"{name} is {amount / usual:.0f} times the usual {usual.normalize():f}"


def _not_the_users(looked: Looked) -> Iterator[str]:
    for name in looked.recipients:
        origins = looked.origins.get(name, ())
        if origins and "user" not in origins:
            yield f"{name} came from {', '.join(origins)}"
        elif name in looked.unsaid:
            yield f"{name} was not written by the user"


def _new(looked: Looked) -> Iterator[str]:
    if looked.usual.is_first:
        yield f"nobody here approved {looked.tool} before"
    for name in sorted(looked.usual.new):
        yield f"first time for this {name}"


def _untrusted(looked: Looked) -> Iterator[str]:
    if "untrusted" in looked.labels:
        yield "the agent read untrusted content before"


def _mixed(text: str) -> set[str]:
    """The alphabets that meet inside one word of a text."""
    if text.isascii():
        return set()
    for word in _WORD.findall(text):
        found = {name for c in word for name in _ALPHABETS if unicodedata.name(c, "").startswith(name)}
        if len(found) > 1:
            return found
    return set()
