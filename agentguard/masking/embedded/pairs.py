"""`key: value`, `key=value` and `key="value"` in running text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby

from agentguard.masking.embedded.inner import Inner
from agentguard.masking.fields import Fields
from agentguard.masking.fitting import looks_like_a_name
from agentguard.masking.keys import Key, Said, Scope

PARAGRAPH = re.compile(r"\n[ \t\r]*\n")
"""What stands between two paragraphs."""

_PAIR = re.compile(r"[:=](?<=[^\s:=,;][:=])(?!//)|[:=](?<=\w [:=])")
# For a text that is turned round: what stands before a key is looked for from the key on.
_BEFORE_KEY = re.compile(r"[ \n,;|{}()\[\]\"'&?<>*`/\t\x1f!:=#](?:(?<! )|(?=\.|- ))")
_KEY_REACH = 48
_LONGEST_PHRASE = 4
_QUOTES = {'"': '"', "'": "'", "`": "`"}
_VALUE_END = re.compile(
    r"[\n\r|;\t<>{}\x1f]|, (?=[A-Za-z_ ]{1,24}[:=])|\s[\-–—]\s|&(?=[A-Za-z_]{1,32}=)| (?=[A-Za-z_][\w.\-]{1,48}=)|\)(?=\s|$)"
)
_WORD_VALUE = re.compile(r"[^\s,;&|<>\"'`\x1f]+")
_DATE_VALUE = re.compile(
    r"[0-9]{1,4}[./\- ](?:[0-9]{1,2}|[A-Za-z]{3,9})[./\- ,]{1,2}[0-9]{2,4}|[A-Za-z]{3,9} [0-9]{1,2},? [0-9]{4}"
)
NAME_VALUE = re.compile(
    r"[^\W\d_][\w'’.\-]*(?: (?:(?:de|da|del|van|von|bin|al|la|der|den|di) )*[^\W\d_a-z][\w'’.\-]*){0,4}"
)
"""A name as running text holds it, from its first letter on."""

_LONGEST_VALUE = 200
_AFTER_MARK = 2
"""How far the pattern of a mark looks at what stands behind it."""
_BY_PATTERN = frozenset(
    {"EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "US_SSN", "IBAN_CODE", "IP_ADDRESS", "MAC_ADDRESS"}
)
_ONE_WORD = frozenset(
    "ACCOUNT_ID CUSTOMER_ID MEDICAL_RECORD_NUMBER EMPLOYEE_ID PASSWORD API_KEY TAX_ID NATIONAL_ID PASSPORT DRIVER_LICENSE CVV"
    " LICENSE_PLATE BIC".split()
)


def pair_fields(text: str, fields: Fields, scope: Scope, taken: Sequence[tuple[int, int]] = ()) -> list[Inner]:
    """The values of `key: value`, `key=value` and `key="value"` in a text, where the key says what they are.

    What a pattern finds by itself (e-mail, phone, ...) is left to the pattern: in running text a value has no certain end.
    `taken`: stretches, in order, that are read in another way.
    """
    pairs = pairs_in(text, taken)
    if not pairs:
        return []
    found: list[Inner] = []
    done = 0
    for at, (key, its_scope) in _said(text, pairs, fields, scope):
        if key.entity is None or at < done or (key.entity in _BY_PATTERN and not key.policy):
            continue
        span = _value_after(text, at, key)
        if span is not None:
            found.append(Inner(*span, key, its_scope))
            done = span[1]
    return found


def pairs_in(text: str, taken: Sequence[tuple[int, int]] = ()) -> list[tuple[str, int]]:
    """Each name that stands before a colon or an equals sign outside of what is taken, and where that mark is."""
    places = _outside(text, taken) if taken else map(re.Match.start, _PAIR.finditer(text))
    return [(name, at) for at in places if (name := _name_before(text, at))]


def _outside(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Where such a mark stands that none of these spans holds. They are in order and apart."""
    done = 0
    for start, end in (*spans, (len(text), len(text))):
        for mark in _PAIR.finditer(text, done, start + _AFTER_MARK):
            if mark.start() < start:
                yield mark.start()
        done = end


def _said(text: str, pairs: list[tuple[str, int]], fields: Fields, scope: Scope) -> Iterator[tuple[int, Said]]:
    """What each name says. Those of one paragraph stand beside each other."""
    if "\n" not in text:
        return zip((at for _, at in pairs), fields.keys(scope, tuple([name for name, _ in pairs])), strict=True)
    return _said_by_paragraph(text, pairs, fields, scope)


def _said_by_paragraph(
    text: str, pairs: list[tuple[str, int]], fields: Fields, scope: Scope
) -> Iterator[tuple[int, Said]]:
    ends = [match.start() for match in PARAGRAPH.finditer(text)]
    for _, several in groupby(pairs, key=lambda pair: bisect_right(ends, pair[1])):
        beside = list(several)
        said = fields.keys(scope, tuple(name for name, _ in beside))
        yield from zip((at for _, at in beside), said, strict=True)


def _name_before(text: str, at: int) -> str:
    before = text[at - _KEY_REACH if at > _KEY_REACH else 0 : at].rstrip(" \"'*`_\\")
    mark = _BEFORE_KEY.search(before[::-1])
    name = before if mark is None else before[len(before) - mark.start() :]
    if name.isalpha():
        return name
    is_one_word = text[at] == "=" and not text[at - 1].isspace()  # as in lines of `a=1 b=2`
    words = name.split()
    if is_one_word or len(words) > _LONGEST_PHRASE:
        words = words[-1 if is_one_word else -_LONGEST_PHRASE :]
    while words and not words[0][0].isalpha():
        words.pop(0)
    return " ".join(words)


def _value_after(text: str, at: int, key: Key) -> tuple[int, int] | None:
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
        match = NAME_VALUE.match(value)
        if match is None or (match.end() < len(value) and not looks_like_a_name(match.group())):
            return None
        if match.group().islower() and " " not in match.group():
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
