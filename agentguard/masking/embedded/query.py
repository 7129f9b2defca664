"""`a=1&b=2` as URLs and forms hold it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentguard.masking.embedded.escapes import plain
from agentguard.masking.embedded.inner import Inner, Region, Spelling
from agentguard.masking.fields import Fields, Said

_NAME = r"[\w.%+\-\[\]]{1,64}"
_PLAIN = r"[^\s&\"'<>;=]"
_VALUE = (
    rf"[^\s&\"'<>;]*(?:(?: {_PLAIN}+){{1,4}}(?=&))?"  # a space stands in it only where somebody has undone its escape
)
_QUERY = re.compile(
    rf"(?:(?<=\?)|(?<![^\s\"'(])){_NAME}={_VALUE}(?:&(?:amp;)?{_NAME}={_VALUE})+|(?<=\?){_NAME}=[^\s&\"'<>;]+"
)
_WRITTEN_NAME = re.compile(_NAME)
_MORE = re.compile(rf"={_VALUE}&(?:amp;)?{_NAME}=")
_LONGEST_NAME = 64
_GOES_ON = re.compile(r" [(0-9]")  # a telephone number, whose spaces nobody escaped
_PAIR = re.compile(rf"({_NAME})=({_VALUE})")


def query_regions(text: str, fields: Fields, said: Said) -> Iterator[Region]:
    """Every query of a URL, and every form."""
    for query in _queries(text):
        pairs = list(_PAIR.finditer(text, *query.span()))
        each = fields.keys(said[1], tuple([plain(pair.group(1)) for pair in pairs]))
        parts = [
            Inner(*pair.span(2), *its, spelling=Spelling.QUERY)
            for pair, its in zip(pairs, each, strict=True)
            if pair.group(2) and not _GOES_ON.match(text, pair.end())
        ]
        yield Region(*query.span(), parts, query.end() == len(text))


def _queries(text: str) -> Iterator[re.Match[str]]:
    """Each query. What stands before an equals sign is read backwards, because names are everywhere and that sign is not."""
    at = text.find("=")
    while at != -1:
        first = max(0, at - _LONGEST_NAME)
        may_be = _MORE.match(text, at) is not None or text.find("?", first - 1 if first else 0, at) != -1
        name = _WRITTEN_NAME.match(text[first:at][::-1]) if may_be else None
        query = _QUERY.match(text, at - name.end()) if name is not None else None
        if query is not None:
            yield query
        at = text.find("=", at + 1 if query is None else query.end())
