"""Elements of XML and HTML in a text.

Rules:
- the name of an element says what its text is, as a key does, and the elements beside it are the keys beside it;
- in a table of HTML the header says it for each row, and `<th>` beside `<td>` for its value;
- `<dt>` says it for `<dd>`, and what is marked as strong and ends in a colon for the text behind it, to the next tag or to the end of its
  paragraph; behind the last tag, where nothing says how far the value goes, for a short text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from agentguard.masking.embedded.frames import Frame, Span, resolved
from agentguard.masking.embedded.inner import Inner, Region
from agentguard.masking.fields import Fields
from agentguard.masking.keys import Said
from agentguard.masking.limits import refused

_TAG = re.compile(r"<(/?)([A-Za-z][\w:.\-]{0,63})((?:\s[^<>]{0,2000})?)(/?)>")
_LAYOUT = frozenset(
    "html head body div span p a b i u em strong small font br hr img table thead tbody tfoot tr td th ul ol li dl dt dd section"
    " article header footer main nav form label input select option textarea button h1 h2 h3 h4 h5 h6 code pre center sup sub"
    " script style link meta blockquote caption colgroup col abbr time cite mark".split()
)
_SAYING_NOTHING = _LAYOUT - frozenset("table thead tbody tfoot tr td th dl dt dd strong b em label".split())
_STRONG = frozenset({"strong", "b", "em", "label", "span", "th"})
_CELLS = frozenset({"td", "th"})
_ALONE = frozenset({"br", "hr", "img", "input", "meta", "link", "col"})
_CDATA = "<![CDATA["
_ATTRIBUTE = re.compile(r"""([\w:.\-]+)\s*=\s*(["'])(.*?)\2""")
_LABELS = ("name", "key", "itemprop", "property", "label", "id")
_LONGEST_NAME = 60
_DEEPEST = 200
_NEAR = 400
_LONGEST_REST = 280
_PARAGRAPH = re.compile(r"[ \t\r]*\n[ \t\r]*\n")


class _Piece(NamedTuple):
    """A stretch of text between two tags, and the name of the innermost element that it stands in."""

    start: int
    end: int
    tag: str


def markup_regions(text: str, fields: Fields, said: Said) -> Iterator[Region]:
    """The text in each element, a region of its own: attributes stand between them."""
    first = _TAG.search(text)
    if first is None:
        return
    tree = _Tree(text, first.start())
    if tree.is_open:
        yield Region(first.start(), first.start(), (), open=True, is_markup=True)
    parts = [*resolved(tree.root, text, fields, said), *_of_html(tree, text, fields, said)]
    named = [part for part in parts if part.key.entity is not None or part.key.words]
    for part in sorted(named, key=lambda part: part.start):
        yield Region(part.start, part.end, (part,), open=part.start == tree.going_on, is_markup=True)


class _Cell(NamedTuple):
    """A cell of a table: `td` or `th`, and the pieces of text in it."""

    tag: str
    pieces: list[_Piece]


class _Tree:
    """The elements of a text. `root` holds those that are named after what they hold, `rows` and `pieces` the others."""

    def __init__(self, text: str, start: int) -> None:
        self.root = Frame(is_list=False)
        self.rows: list[list[_Cell]] = []
        self.pieces: list[_Piece] = []
        self.labelled: list[tuple[str, Span]] = []
        self.end = start
        self._stack: list[tuple[str, Frame]] = [("", self.root)]
        for match in _TAG.finditer(text, start):
            self._text(text, self.end, match.start())
            self.end = match.end()
            self._tag(match)
        self.going_on = self._rest(text)
        self.is_open = any(name not in _SAYING_NOTHING for name, _ in self._stack[1:])

    def _text(self, text: str, start: int, end: int) -> None:
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start == end:
            return
        if text.startswith(_CDATA, start) and text.endswith("]]>", start, end):
            start, end = start + len(_CDATA), end - 3
        tag, frame = self._stack[-1]
        if tag and tag not in _LAYOUT:
            frame.enter(Span(start, end))
            return
        piece = _Piece(start, end, tag)
        self.pieces.append(piece)
        if self.rows and self.rows[-1] and any(name in _CELLS for name, _ in self._stack):
            self.rows[-1][-1].pieces.append(piece)

    def _rest(self, text: str) -> int | None:
        """Take in what stands behind the last tag, if it is short; where it begins, if more of it may come."""
        rest = text[self.end : self.end + _LONGEST_REST]
        start, end = self.end + len(rest) - len(rest.lstrip()), self.end + len(rest)
        ended = _paragraph_end(text, start, end)
        if ended == end < len(text):
            return None
        self._text(text, start, ended)
        return start if ended == len(text) else None

    def _tag(self, match: re.Match[str]) -> None:
        closing, name, attributes, alone = match.groups()
        if "value" in attributes or "content" in attributes:
            self._labelled(match.start(3), attributes)
        name = name.rpartition(":")[2]
        plain = name.lower()
        if plain in _LAYOUT:
            name = plain
        if closing:
            self._close(name)
        elif not alone and name not in _ALONE:
            self._open(name)

    def _labelled(self, start: int, attributes: str) -> None:
        """`name="phone" value="..."`: one attribute says what the other is."""
        found = {match.group(1).lower(): match for match in _ATTRIBUTE.finditer(attributes)}
        label = next((found[name].group(3) for name in _LABELS if name in found), "")
        value = found.get("value") or found.get("content")
        if label and value is not None:
            left, right = value.span(3)
            self.labelled.append((label, Span(start + left, start + right)))

    def _open(self, name: str) -> None:
        if len(self._stack) > _DEEPEST:
            raise refused(f"markup nested deeper than {_DEEPEST} levels")
        if name == "tr":
            self.rows.append([])
        elif name in _CELLS and self.rows:
            self.rows[-1].append(_Cell(name, []))
        self._stack.append((name, Frame(is_list=False)))

    def _close(self, name: str) -> None:
        """Close the innermost element of this name, and those in it that nobody closed."""
        if not any(open_name == name for open_name, _ in self._stack[1:]):
            return
        while True:
            closed, frame = self._stack.pop()
            above = self._stack[-1][1]
            if closed in _LAYOUT:
                above.entries += frame.entries
            else:
                above.name = closed
                above.enter(_only_text(frame))
            if closed == name:
                return


def _only_text(frame: Frame) -> Span | Frame:
    """The text of an element that holds nothing else."""
    if len(frame.entries) == 1 and frame.entries[0][0] == "" and isinstance(frame.entries[0][1], Span):
        return frame.entries[0][1]
    return frame


def _of_html(tree: _Tree, text: str, fields: Fields, said: Said) -> Iterator[Inner]:
    header: tuple[Said, ...] = ()
    pairs: list[tuple[str, _Piece]] = []
    in_rows: set[_Piece] = set()
    for row in tree.rows:
        tags = [cell.tag for cell in row]
        if len(row) > 1 and set(tags) == {"th"}:
            header = fields.keys(said[1], tuple(_title(text, cell) for cell in row))
        elif tags == ["th", "td"]:
            pairs += [(_title(text, row[0]), piece) for piece in row[1].pieces]
        elif len(row) == len(header):
            for cell, its in zip(row, header, strict=True):
                yield from (Inner(piece.start, piece.end, *its) for piece in cell.pieces)
        in_rows.update(piece for cell in row for piece in cell.pieces)
    apart = [piece for piece in tree.pieces if piece not in in_rows]
    for name, value in pairwise(apart):
        if value.start - name.end < _NEAR and _names(text, name, value):
            end = value.end if name.tag == "dt" else _paragraph_end(text, value.start, value.end)
            pairs.append((_name(text, name), value._replace(end=end)))
    named = [*((name, Span(piece.start, piece.end)) for name, piece in pairs), *tree.labelled]
    for (_, span), its in zip(named, fields.keys(said[1], tuple(name for name, _ in named)), strict=True):
        yield Inner(span.start, span.end, *its)


def _names(text: str, name: _Piece, value: _Piece) -> bool:
    """Whether one piece of text is the name of the next."""
    if name.tag == "dt":
        return value.tag == "dd"
    if name.tag in _STRONG:
        return (text[name.end - 1] == ":" or name.tag == "label") and value.tag not in _STRONG
    return text[name.end - 1] == ":" and name.end - name.start <= _LONGEST_NAME and value.tag in _STRONG


def _paragraph_end(text: str, start: int, end: int) -> int:
    """Where the first paragraph of a stretch ends."""
    found = _PARAGRAPH.search(text, start, end)
    return end if found is None else found.start()


def _title(text: str, cell: _Cell) -> str:
    return _name(text, cell.pieces[0]) if cell.pieces else ""


def _name(text: str, piece: _Piece) -> str:
    return text[piece.start : piece.end].rstrip(" :")[:_LONGEST_NAME]
