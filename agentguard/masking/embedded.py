"""Fields inside a text: where a text is JSON, a table, or holds `key: value`, which part of it stands under which key.

What comes back are spans of the text, so that whatever is not masked stays as it was, to the byte. JSON that was cut off is read as far
as it goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from agentguard.masking.fields import Fields, Key, Scope
from agentguard.masking.fitting import looks_like_a_name
from agentguard.masking.limits import refused
from agentguard.masking.phrases import split

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_DEEPEST = 200


class Inner(NamedTuple):
    """A span of a text under a key. `bare`: a JSON number or word, which needs quotes when text takes its place.

    `scope` is what lies under it, for text that is JSON once more.
    """

    start: int
    end: int
    key: Key
    scope: Scope
    bare: bool = False


class _Frame:
    """An object or a list that is being read: keys, and for each a span (start, end, bare) or a frame."""

    __slots__ = ("entries", "is_list", "name")

    def __init__(self, is_list: bool) -> None:
        self.is_list = is_list
        self.entries: list[tuple[str, tuple[int, int, bool] | _Frame]] = []
        self.name: str | None = None


def json_fields(text: str, fields: Fields, key: Key, scope: Scope) -> list[Inner] | None:
    """The values of a JSON text with what their keys say, or None where it is none."""
    stripped = text.lstrip()
    if (
        stripped[:1] not in ("{", "[")
        or '"' not in text
        or (stripped[0] == "[" and stripped[1:].lstrip()[:1] not in ('"', "{", "["))
    ):
        return None
    root = _parsed(text)
    return None if root is None else _resolved(root, fields, key, scope)


def _parsed(text: str) -> _Frame | None:
    """The frames of a JSON text; None where it is not JSON even at its start."""
    root: _Frame | None = None
    stack: list[_Frame] = []
    for match in _TOKEN.finditer(text):
        first = text[match.start()]
        if first in "{[":
            frame = _Frame(is_list=first == "[")
            if stack:
                _entered(stack[-1], frame)
            root = root or frame
            stack.append(frame)
            if len(stack) > _DEEPEST:
                raise refused(f"JSON text nested deeper than {_DEEPEST} levels")
        elif not stack:
            return root
        elif first in "}]":
            if stack.pop().is_list != (first == "]"):
                return None
            if not stack:
                return root
        elif first not in ":," and not _took(stack[-1], match, first == '"'):
            return None
    return root


def _took(frame: _Frame, match: re.Match[str], quoted: bool) -> bool:
    """Put a key or a value into its frame; False where it can't stand there."""
    token = match.group()
    closed = len(token) > 1 and token[-1] == '"'
    if not frame.is_list and frame.name is None:
        frame.name = (token[1:-1] if closed else "") if quoted else None
        return quoted
    _entered(frame, (match.start() + 1, match.end() - closed, False) if quoted else (*match.span(), True))
    return True


def _entered(frame: _Frame, entry: tuple[int, int, bool] | _Frame) -> None:
    frame.entries.append((frame.name or "", entry))
    frame.name = None


def _resolved(root: _Frame, fields: Fields, key: Key, scope: Scope) -> list[Inner]:
    found: list[Inner] = []
    pending = [(root, key, scope)]
    while pending:
        frame, above, within = pending.pop()
        names = tuple(name for name, _ in frame.entries)
        said = ((above, within),) * len(names) if frame.is_list else fields.keys(within, names)
        for (_, entry), (its_key, its_scope) in zip(frame.entries, said, strict=True):
            if isinstance(entry, _Frame):
                pending.append((entry, its_key, its_scope))
            else:
                found.append(Inner(entry[0], entry[1], its_key, its_scope, entry[2]))
    return sorted(found)


_RULER = re.compile(r"\|?[ :\-|+=]{3,}\|?\Z")


def table_fields(text: str, fields: Fields, scope: Scope) -> list[Inner] | None:
    """The cells of a CSV or of a markdown table with what their column says, or None where the text is none."""
    lines = list(_lines(text))
    if len(lines) < 2:
        return None
    header = lines[0][1]
    mark = next((mark for mark in "|\t;," if mark in header), None)
    if mark is None:
        return None
    cells = list(_cells(*lines[0], mark))
    names = tuple(text[start:end].strip(' "') for start, end in cells)
    if not all(_is_header(name) for name in names if name) or sum(map(bool, names)) < 2:
        return None
    said = fields.keys(scope, names)
    found: list[Inner] = []
    for at, line in lines[1:]:
        if _RULER.match(line.strip()):
            continue
        row = list(_cells(at, line, mark))
        if len(row) != len(names):
            break
        found += [Inner(start, end, *its) for (start, end), its in zip(row, said, strict=True) if start < end]
    return found or None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        if line.strip():
            yield start, line.rstrip("\r")
        start += len(line) + 1


def _is_header(name: str) -> bool:
    words = split(name)
    return 0 < len(name) <= 40 and words != "" and words.count(" ") <= 4 and name[0].isalpha() and "@" not in name


def _cells(start: int, line: str, mark: str) -> Iterator[tuple[int, int]]:
    """The spans of a row's cells, without their quotes and the spaces around them."""
    at, quoted, first = 0, False, 0
    if mark == "|" and line.lstrip().startswith("|"):
        at = first = line.index("|") + 1
    length = len(line.rstrip()) - 1 if mark == "|" and line.rstrip().endswith("|") else len(line)
    while at <= length:
        c = line[at] if at < length else mark
        if c == '"' and at < length:
            quoted = not quoted
        elif (c == mark and not quoted) or at == length:
            left, right = first, at
            while left < right and line[left] in ' "':
                left += 1
            while right > left and line[right - 1] in ' "':
                right -= 1
            yield start + left, start + right
            first = at + 1
        at += 1


_PAIR = re.compile(r"[:=](?<=[^\s:=,;][:=])(?!//)|[:=](?<=\w [:=])")
_KEY_ENDS = re.compile(r"[\n,;|{}()\[\]\"'&?<>*`/\t\x1f!:=#]|\. | - ")
_KEY_REACH = 48
_LONGEST_PHRASE = 4
_QUOTES = {'"': '"', "'": "'", "`": "`"}
_VALUE_END = re.compile(
    r"[\n\r|;\t<>{}\x1f]|, (?=[A-Za-z_ ]{1,24}[:=])|\s[\-–—]\s|&(?=[A-Za-z_]{1,32}=)| (?=[A-Za-z_]{2,24}=)|\)(?=\s|$)"
)
_WORD_VALUE = re.compile(r"[^\s,;&|<>\"'`\x1f]+")
_DATE_VALUE = re.compile(
    r"[0-9]{1,4}[./\- ](?:[0-9]{1,2}|[A-Za-z]{3,9})[./\- ,]{1,2}[0-9]{2,4}|[A-Za-z]{3,9} [0-9]{1,2},? [0-9]{4}"
)
_NAME_VALUE = re.compile(
    r"[^\W\d_][\w'’.\-]*(?: (?:(?:de|da|del|van|von|bin|al|la|der|den|di) )*[^\W\d_a-z][\w'’.\-]*){0,4}"
)
_LONGEST_VALUE = 200
_BY_PATTERN = frozenset(
    {"EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "US_SSN", "IBAN_CODE", "IP_ADDRESS", "MAC_ADDRESS"}
)
_ONE_WORD = frozenset(
    "ACCOUNT_ID CUSTOMER_ID MEDICAL_RECORD_NUMBER EMPLOYEE_ID PASSWORD API_KEY TAX_ID NATIONAL_ID PASSPORT DRIVER_LICENSE CVV"
    " LICENSE_PLATE BIC".split()
)


def pair_fields(text: str, fields: Fields, scope: Scope) -> list[Inner]:
    """The values of `key: value`, `key=value` and `key="value"` in a text, where the key says what they are.

    What a pattern finds by itself (e-mail, phone, ...) is left to the pattern: in running text a value has no certain end.
    """
    pairs = [(name, at) for at in (match.start() for match in _PAIR.finditer(text)) if (name := _name_before(text, at))]
    if not pairs:
        return []
    said = fields.keys(scope, tuple(name for name, _ in pairs))
    found: list[Inner] = []
    done = 0
    for (name, at), (key, its_scope) in zip(pairs, said, strict=True):
        if key.entity is None or at < done or (key.entity in _BY_PATTERN and not key.policy):
            continue
        span = _value_after(text, at, key, name)
        if span is not None:
            found.append(Inner(*span, key, its_scope))
            done = span[1]
    return found


def _name_before(text: str, at: int) -> str:
    before = text[max(0, at - _KEY_REACH) : at].rstrip(" \"'*`_\\")
    words = _KEY_ENDS.split(before)[-1].split()[-_LONGEST_PHRASE:]
    while words and not words[0][0].isalpha():
        words.pop(0)
    return " ".join(words)


def _value_after(text: str, at: int, key: Key, name: str) -> tuple[int, int] | None:
    start = at + 1
    limit = min(len(text), start + _LONGEST_VALUE)
    while start < limit and text[start] in " \t*_\\":
        start += 1
    if text[start : start + 1] in _QUOTES and start < limit:
        closing = text.find(_QUOTES[text[start]], start + 1, limit)
        return (start + 1, closing) if closing > start + 1 else None
    ending = _VALUE_END.search(text, start, limit)
    end = ending.start() if ending else limit
    value = text[start:end].rstrip(" .,\"'*_`\\")
    if not value or "://" in value[:12]:
        return None
    return _cut(value, start, key)


def _cut(value: str, start: int, key: Key) -> tuple[int, int] | None:
    """The part of a line that is the value, by what the key promises."""
    if key.policy:
        return start, start + len(value)
    if key.entity == "PERSON":
        match = _NAME_VALUE.match(value)
        if match is None or (match.end() < len(value) and not looks_like_a_name(match.group())):
            return None
        return start, start + len(match.group().rstrip(" .,"))
    if key.entity == "DATE_OF_BIRTH":
        match = _DATE_VALUE.match(value)
        return (start, start + match.end()) if match else None
    if key.entity in _ONE_WORD:
        match = _WORD_VALUE.match(value)
        word = match.group().rstrip(".)]") if match else ""
        telling = any(c.isdigit() for c in word) or (key.entity in ("PASSWORD", "API_KEY") and word == value)
        return (start, start + len(word)) if word and telling else None
    if key.entity == "ADDRESS" and not any(c.isdigit() for c in value):
        return None
    return start, start + len(value)
