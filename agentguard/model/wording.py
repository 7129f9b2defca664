"""What stands in a text: words, numbers, dates, addresses. Two texts are compared by these terms, so that only whole values match.

Rules:
- a value stands in a text where its words stand there next to each other, each of them whole;
- case, spelling of the same character (NFKC), quotes and the punctuation around words don't count, nor does white space inside long ids;
- a number is its amount: `1,000.00` is 1000. A number inside a date, a time, an id or a list's numbering is none;
- a date may be written in words and without its year; a time with am or pm;
- a URL counts whole, its scheme aside, and its host counts by itself;
- one or two letters, and words that stand in any text, are no evidence of anything.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

TEXT_MAX = 100_000
"""Characters of a text that are looked at."""
WINDOW = 4
"""How many words stand together in one term; longer values are looked for in overlapping pieces."""

_LEAST = 3
_ID_LEAST, _ID_MOST, _ID_DIGITS, _ID_WORDS = 8, 64, 4, 10
_GROUP = 4
"""Letters in a group of an id that has no digit."""
_BREAKS = re.compile(r"[\s,;:=\"\u201c\u201d\u201e«»<>()\[\]{}|`]+|(?<!\w)['\u2019\u2018]|['\u2019\u2018](?!\w)")
_EDGES = ".!?…*_~-\u2013\u2014'\u2019"
_POSSESSIVE = re.compile(r"['\u2019]s$")
_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "|".join(f"{name}|{name[:3]}\\.?" for name in _MONTHS) + "|sept\\.?"
_ISO_DATE = re.compile(r"(?<![\w-])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?![\d-])")
_MONTH_FIRST = re.compile(rf"\b({_MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?(?!\w)")
_DAY_FIRST = re.compile(rf"(?<![\w.])(\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?({_MONTH})(?:,?\s+(\d{{4}}))?(?!\w)")
_SHORT_DATE = re.compile(r"(?<![\w./-])(\d{1,2})([./])(\d{1,2})\2(\d{4})(?![\w/])")
_TIME = re.compile(
    r"(?<![\w:.])(\d{1,2})(?::(\d{2}))(?::\d{2})?\s*(am|pm|a\.m\.|p\.m\.)?(?![\w:])|(?<![\w:.])(\d{1,2})\s*(am|pm|a\.m\.|p\.m\.)(?!\w)"
)
_BESIDE_DATES = re.compile(r"[\s;,+.:0tz]|at|utc")
_NUMBERED = re.compile(r"(?<!\S)(\d{1,2})[.)](?=\s)")
_CLOCK_IN_DATE = re.compile(r"(?<=\d)t(?=\d{2}:)")
_NUMBER = re.compile(
    r"(?<![\w.,:/@#+-])[-\u2212]?[$€£¥]?\s?(\d{1,3}(?:,\d{3})+|\d{1,30})(\.\d{1,30})?(?![\w:/@-]|[.,]\d)"
)
_NUMBER_VALUE = re.compile(r"[-\u2212]?[$€£¥]?(\d{1,3}(?:,\d{3})+|\d{1,30})(\.\d{1,30})?")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s<>\"'`|\\^{}\[\]]{1,2000}|\bwww\.[^\s<>\"'`|\\^{}\[\]]{1,2000}")
_COMMON = frozenset(
    "about account add address after all also an and another any are ask before best body but can change check "
    "close could create data date day dear delete document each email every file files find first folder for "
    "from get give got had has have hello her here hers him his how id info information into its just last "
    "least less let like list look made mail make may message might month more most must name new next not now "
    "number old one only open other our ours out over per please put read regards remove said same say see "
    "send sent set shall she should show some subject such take tell text than thank thanks that the their "
    "them then there these they this those time title today tomorrow two under update use user very via was "
    "week were what when where which who whom whose why will with would write year yes yesterday you your "
    "yours".split()
)  # fmt: skip


class Terms(NamedTuple):
    """The terms of a text; `whole` is false where the text was too long to look at all of it."""

    found: set[str]
    whole: bool


def terms_of(text: str, *, window: int = WINDOW) -> Terms:
    """Everything in a text that a value could be compared with."""
    plain = _plain(text[:TEXT_MAX])
    found: set[str] = set()
    words = _words(plain)
    for size in range(1, window + 1):
        found.update(_windows(words, size))
    found.update(_ids(words))
    found.update(_links(plain))
    dates, times, rest = _dated(plain)
    found.update(dates)
    found.update(times)
    found.update(
        f"n:{number}" for match in _NUMBER.finditer(_without_numbering(rest)) if (number := _number(match)) is not None
    )
    return Terms(found, len(text) <= TEXT_MAX)


def wanted_of(value: str | int | float, *, window: int = WINDOW) -> list[list[str]]:
    """What must stand in a text for a value to stand in it: all terms of one of these lists. None: it is no evidence of anything."""
    if not isinstance(value, str):
        number = _normal(str(value))
        return [] if number is None else [[f"n:{number}"]]
    plain = _plain(value).strip()
    if len(plain) > TEXT_MAX:
        return []
    if (match := _NUMBER_VALUE.fullmatch(plain)) is not None:
        number = _number(match)
        wanted = [] if number is None else [[f"n:{number}"]]
        return [*wanted, [f"w:{plain}"]] if len(plain) >= _ID_DIGITS and plain.isdigit() else wanted
    if (url := _URL.fullmatch(plain)) is not None:
        return [[_link(url[0])]]
    dates, times, rest = _dated(plain)
    if (dates or times) and not _BESIDE_DATES.sub("", rest):
        return [[*(sorted(dates)[:1]), *sorted(times)]]
    return _worded(_words(plain), window)


def _worded(words: Sequence[str], window: int) -> list[list[str]]:
    if all(len(word) < _LEAST or word in _COMMON for word in words):
        return []
    wanted = [list(dict.fromkeys(_windows(words, min(window, len(words)))))]
    compact = _compact(words)
    if _is_id(compact):
        wanted.append([f"c:{compact}"])
    if len(words) == 1 and "." in words[0] and "@" not in words[0] and "/" not in words[0]:
        wanted.append([f"h:{words[0]}"])
    return wanted


def _plain(text: str) -> str:
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()


def _words(plain: str) -> list[str]:
    stripped = (_POSSESSIVE.sub("", word.strip(_EDGES)) for word in _BREAKS.split(plain))
    return [word.removeprefix("mailto") for word in stripped if word]


def _windows(words: Sequence[str], size: int) -> Iterator[str]:
    for start in range(len(words) - size + 1):
        yield "w:" + " ".join(words[start : start + size])


def _compact(words: Iterable[str]) -> str:
    return "".join(character for word in words for character in word if character.isalnum())


def _is_id(compact: str) -> bool:
    return _ID_LEAST <= len(compact) <= _ID_MOST and sum(map(str.isdigit, compact)) >= _ID_DIGITS


def _ids(words: Sequence[str]) -> Iterator[str]:
    """Long ids, also where they are written in groups."""
    pieces = [
        _compact([word]) if any(map(str.isdigit, word)) else word if len(word) == _GROUP else "" for word in words
    ]
    for start, first in enumerate(pieces):
        grouped = ""
        for piece in pieces[start : start + _ID_WORDS] if first else ():
            grouped += piece
            if not piece or len(grouped) > _ID_MOST:
                break
            if _is_id(grouped):
                yield f"c:{grouped}"


def _links(plain: str) -> Iterator[str]:
    for match in _URL.finditer(plain):
        link = _link(match[0])
        yield link
        yield "h:" + re.split(r"[/?#:]", link.removeprefix("u:"), maxsplit=1)[0]


def _link(url: str) -> str:
    return "u:" + url.partition("://")[2].rstrip(".,;:!?)/") if "://" in url else "u:" + url.rstrip(".,;:!?)/")


def _dated(plain: str) -> tuple[set[str], set[str], str]:
    """Dates and times, each in all the ways in which it may be asked for, and the text without them."""
    dates: set[str] = set()
    times: set[str] = set()

    def take(year: str | None, month: int, day: str) -> str:
        if 1 <= month <= 12 and 1 <= int(day) <= 31:
            dates.update([f"d:{year}-{month:02}-{int(day):02}"] if year else [f"d:--{month:02}-{int(day):02}"])
        return " ; "

    rest = _ISO_DATE.sub(lambda found: take(found[1], int(found[2]), found[3]), _CLOCK_IN_DATE.sub(" ", plain))
    rest = _MONTH_FIRST.sub(lambda found: take(found[3], _month(found[1]), found[2]), rest)
    rest = _DAY_FIRST.sub(lambda found: take(found[3], _month(found[2]), found[1]), rest)
    rest = _SHORT_DATE.sub(
        lambda found: take(found[4], int(found[3]), found[1]) + take(found[4], int(found[1]), found[3]), rest
    )

    def clock(found: re.Match[str]) -> str:
        hour, minute, half = (found[1], found[2], found[3]) if found[1] else (found[4], "00", found[5])
        twelve = int(hour) % 12 + (12 if half.startswith("p") else 0) if half else int(hour)
        if twelve < 24 and int(minute) < 60:
            times.add(f"t:{twelve:02}:{minute}")
        return " ; "

    return dates, times, _TIME.sub(clock, rest)


def _without_numbering(plain: str) -> str:
    """A text without the numbers of a list in it: 1., 2., 3. and so on."""
    awaited = 1

    def take(found: re.Match[str]) -> str:
        nonlocal awaited
        if int(found[1]) != awaited:
            return found[0]
        awaited += 1
        return ";"

    return _NUMBERED.sub(take, plain)


def _month(word: str) -> int:
    return next(index for index, name in enumerate(_MONTHS, start=1) if name.startswith(word[:3]))


def _number(match: re.Match[str]) -> str | None:
    return _normal(match[1].replace(",", "") + (match[2] or ""))


def _normal(text: str) -> str | None:
    """One text for all spellings of an amount; its sign is not looked at."""
    try:
        number = abs(Decimal(text))
    except InvalidOperation:
        return None
    return f"{number.normalize():f}" if number.is_finite() and number.adjusted() < 30 else None
