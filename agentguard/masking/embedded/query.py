"""`a=1&b=2` as URLs and forms hold it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentguard.masking.embedded.escapes import plain
from agentguard.masking.embedded.inner import Inner, Region, Spelling
from agentguard.masking.embedded.pairs import NAME_VALUE
from agentguard.masking.fields import Fields
from agentguard.masking.fitting import looks_like_a_name
from agentguard.masking.keys import Said

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
_GOES_ON = re.compile(r"(?<=[0-9+)]) [(0-9]")  # a telephone number, whose spaces nobody escaped
_MAY_GO_ON = re.compile(r"(?: [^\W\d_][\w'’.\-]*){0,8} ?")
_NO_NAME = ("/", "=")  # as in `HTTP/1.1`
_SENTENCE = re.compile(r"[^\W\d_]{3,}\.(?= )")
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
        start, end = query.span()
        if not parts or parts[-1].end != end or parts[-1].key.entity != "PERSON":
            yield Region(start, end, parts, end == len(text))
            continue
        last = parts[-1]._replace(end=_end_of_name(text, parts[-1].start, end))
        yield Region(start, last.end, [*parts[:-1], last], _MAY_GO_ON.fullmatch(text, end) is not None)


def _end_of_name(text: str, start: int, end: int) -> int:
    """Where a name ends that ends a query: its further words too, if nobody escaped the spaces between them."""
    name = NAME_VALUE.match(text, start)
    if name is None:
        return end
    words = name.group()
    if text.startswith(_NO_NAME, name.end()):
        words = words.rpartition(" ")[0]
    sentence = _SENTENCE.search(words)
    whole = words[: sentence.end()].rstrip(".") if sentence is not None else words.rstrip(" .,")
    return start + len(whole) if len(whole) > end - start and looks_like_a_name(whole) else end


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
