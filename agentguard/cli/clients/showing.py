"""What would change in a client's configuration, as a diff that people may read: no secret stands in it.

Rules:
- left out: what variables and headers hold, what follows a `?` in a URL, and a word that an option such as `--token` names;
- whatever else looks like a secret or like personal data is masked; characters that nobody sees are written out.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from agentguard.cli.clients.entries import Entry
from agentguard.masking import Masker, visible

_LEFT_OUT = "..."
_VALUES = ("env", "headers")
_SECRET_OPTION = re.compile(r"(?i)^(-{1,2}[\w-]*(?:token|key|secret|passw|auth|credential)[\w-]*)(=.*)?$")


def diff(entry: Entry, options: tuple[str, ...], masker: Masker) -> Iterator[str]:
    """The lines of an entry before and after a guard with these options stands before it."""
    value = {key: _left_out(key, each) for key, each in entry.value.items()}
    shown = replace(entry, written=replace(entry.written, value=masker.for_people(value)))
    where = ".".join(entry.path)
    before, after = (_lines(each) for each in (shown.value, shown.behind(options)))
    for line in difflib.unified_diff(before, after, where, f"{where} behind a guard", lineterm="", n=1):
        yield visible(line)


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False).splitlines()


def _left_out(key: str, value: Any) -> Any:
    """A member of an entry without what must not be shown."""
    if key in _VALUES:
        return dict.fromkeys(value, _LEFT_OUT) if isinstance(value, dict) else _LEFT_OUT
    if isinstance(value, list):
        before = ["", *map(str, value)]
        return [_word(each, earlier) for each, earlier in zip(before[1:], before, strict=False)]
    return _url(value) if isinstance(value, str) else value


def _word(word: str, earlier: str) -> str:
    """A word of a command line, which the one before it may name."""
    option = _SECRET_OPTION.match(word)
    if option is not None:
        return f"{option[1]}={_LEFT_OUT}" if option[2] else word
    named = _SECRET_OPTION.match(earlier)
    return _LEFT_OUT if named is not None and not named[2] else _url(word)


def _url(text: str) -> str:
    """A URL without its query and its credentials."""
    bare = re.sub(r"(\w://)[^/@\s]*@", rf"\1{_LEFT_OUT}@", text)
    return re.sub(r"(\w://[^\s?]*\?).*", rf"\1{_LEFT_OUT}", bare)
