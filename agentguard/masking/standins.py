"""Stand-ins: what the model is given in place of a value where a tool's schema would refuse a token.

A stand-in has the format of the value (an e-mail address, a date, a number) and stands where no real value can:

    email    k3q7xz2m4c@masked.invalid              .invalid is never a domain (RFC 2606)
    url      https://k3q7xz2m4c.masked.invalid/     the same
    phone    +999120455512087                       no country has 999 (ITU E.164, reserved)
    date     6421-03-05                             the years 5000 to 8999; 9999 is many a program's "never"
    time     6421-03-05T17:23:45Z                   the same
    uuid     61676d61-736b-8c1d-8e05-0be35f2a9c77   version 8 (RFC 9562), one fixed beginning
    number   8120455512087345                       16 digits, an 8 in front; exact in JSON readers that have only doubles

Rules:
- all that varies is a keyed hash over session, form, entity type and canonical value, as with tokens; the same value has the same;
- two keyed check characters or more, where the form has room: not in a date or a time, of which every one in those years is ours;
- whether a stand-in was ever given is for the vault to say; in the place of a value, one that it does not know is refused;
- a real number of 16 digits with an 8 in front passes, unless it has the right check by chance (1 in 10,000).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import re2

from agentguard.model.record import Json

Digest = Callable[[bytes], bytes]
"""A keyed hash of at least 16 bytes."""


class Form(StrEnum):
    """The format of a value that a stand-in keeps. In the order in which they are tried for a parameter."""

    EMAIL = "email"
    URL = "url"
    DATE = "date"
    TIME = "time"
    UUID = "uuid"
    PHONE = "phone"
    NUMBER = "number"


class Written(NamedTuple):
    """A stand-in in a text: where, and how it was made."""

    start: int
    end: int
    text: str


def has_form(value: str, form: Form) -> bool:
    """Whether a value could be given where this form is wanted."""
    return _VALUES[form].fullmatch(value.strip()) is not None


def form_for(takes: Callable[[Json], bool]) -> Form | None:
    """The form of stand-in that a place takes, if it takes any."""
    return next((form for form in Form if any(map(takes, SAMPLES[form]))), None)


def stand_in(form: Form, seed: bytes, keyed: Digest) -> str:
    """The stand-in made of a seed, which is a keyed hash over what it stands for; `keyed` makes its check."""
    number = int.from_bytes(seed[:12], "big")
    match form:
        case Form.DATE:
            return _day(number).isoformat()
        case Form.TIME:
            return f"{_day(number).isoformat()}T{_DAY_START + timedelta(seconds=(number >> 40) % 86_400):%H:%M:%S}Z"
        case Form.PHONE:
            return "+999" + _checked_digits(form, number, 10, 2, keyed)
        case Form.NUMBER:
            return "8" + _checked_digits(form, number, 11, 4, keyed)
        case Form.UUID:
            return _uuid(number % 16**13, keyed)
        case Form.EMAIL:
            return f"{_checked_letters(form, number, keyed)}@{_DOMAIN}"
        case Form.URL:
            return f"https://{_checked_letters(form, number, keyed)}.{_DOMAIN}/"


def stand_ins_in(text: str) -> Iterator[Written]:
    """What has the form of a stand-in, its check not looked at, each in the spelling in which it is made."""
    if _GATE.search(text.encode("utf-8", "replace")) is None:
        return
    for match in _READ.finditer(text):
        yield Written(match.start(), match.end(), _SPELLED[Form(match.lastgroup or "")](match))


def is_nobodys(text: str) -> bool:
    """Whether what is spelled like this stand-in can be no real value, whatever its check says."""
    return _MADE[Form.NUMBER].fullmatch(text) is None


def is_right(text: str, keyed: Digest) -> bool:
    """Whether the check of a stand-in, in the spelling in which it is made, is the one that the key gives."""
    form = next((form for form in Form if _MADE[form].fullmatch(text)), None)
    match form:
        case None:
            return False
        case Form.DATE | Form.TIME:
            return True
        case Form.PHONE:
            return text == "+999" + _checked_digits(form, int(text[4:14]), 10, 2, keyed)
        case Form.NUMBER:
            return text == "8" + _checked_digits(form, int(text[1:12]), 11, 4, keyed)
        case Form.UUID:
            return text == _uuid(_uuid_id(text), keyed)
        case Form.EMAIL | Form.URL:
            found = _ID.search(text.removeprefix("https://"))
            return found is not None and found[0][8:] == _letters_check(form, found[0][:8], keyed)


def is_stand_in(text: str) -> bool:
    """Whether this is the text of a stand-in, and not of a token."""
    return not text.startswith("[")


SAMPLES: dict[Form, tuple[Json, ...]] = {
    Form.EMAIL: ("k3q7xz2m4c@masked.invalid",),
    Form.URL: ("https://k3q7xz2m4c.masked.invalid/",),
    Form.PHONE: ("+999120455512087",),
    Form.DATE: ("6421-03-05",),
    Form.TIME: ("6421-03-05T17:23:45Z",),
    Form.UUID: ("61676d61-736b-8c1d-8e05-0be35f2a9c77",),
    Form.NUMBER: (8120455512087345, "8120455512087345"),
}
"""Of each form one, as a schema would meet it."""

_DOMAIN = "masked.invalid"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LOOK_ALIKE = str.maketrans("ilo", "110")
_FIRST_DAY = date(5000, 1, 1).toordinal()
_DAYS = date(9000, 1, 1).toordinal() - _FIRST_DAY
_DAY_START = datetime(2000, 1, 1, tzinfo=UTC)
_MARK = "61676d61-736b-8"
"""What each uuid begins with: "agmask" in ASCII, and the version."""

_CHARACTERS = rf"[{_ALPHABET}]{{10}}"
_DATE = r"[5-8]\d{3}-[01]\d-[0-3]\d"
_CLOCK = r"[0-2]\d:[0-5]\d:[0-5]\d"
_MADE = {
    Form.EMAIL: re.compile(rf"{_CHARACTERS}@{re.escape(_DOMAIN)}"),
    Form.URL: re.compile(rf"https://{_CHARACTERS}\.{re.escape(_DOMAIN)}/"),
    Form.PHONE: re.compile(r"\+999\d{12}"),
    Form.DATE: re.compile(_DATE),
    Form.TIME: re.compile(rf"{_DATE}T{_CLOCK}Z"),
    Form.UUID: re.compile(rf"{_MARK}[0-9a-f]{{3}}-8[0-9a-f]{{3}}-[0-9a-f]{{12}}"),
    Form.NUMBER: re.compile(r"8\d{15}"),
}
_READ = re.compile(
    rf"(?P<email>(?<![0-9A-Za-z.+-])([0-9a-z]{{10}})@masked\.invalid(?![0-9A-Za-z-]))"
    rf"|(?P<url>(?:https?://)(?:www\.)?([0-9a-z]{{10}})\.masked\.invalid(?:/(?![0-9A-Za-z]))?(?![0-9A-Za-z.-]))"
    r"|(?P<phone>(?<![0-9+])(?:\+|00)?999(?:[ .\-/()]{0,2}[0-9]){12}(?![0-9]))"
    rf"|(?P<time>(?<![0-9-])({_DATE})[T ]({_CLOCK})(?:\.0{{1,6}})?(?:Z|\+00:?00)?(?![0-9A-Za-z:]))"
    rf"|(?P<date>(?<![0-9-]){_DATE}(?![0-9-]))"
    rf"|(?P<uuid>(?<![0-9a-f]){_MARK}[0-9a-f]{{3}}-8[0-9a-f]{{3}}-[0-9a-f]{{12}}(?![0-9a-f]))"
    r"|(?P<number>(?<![0-9.+-])8[0-9]{15}(?:\.0{1,4})?(?![0-9]))",
    re.IGNORECASE | re.ASCII,
)
STAND_IN_FORM = (
    rb"(?i:masked\.invalid|999(?:[ .\-/()]{0,2}[0-9]){12}|[5-8][0-9]{3}-[01][0-9]-[0-3]|61676d61-736b|8[0-9]{15})"
)
"""For RE2: what every stand-in holds, however it is spelled."""

_GATE = re2.compile(STAND_IN_FORM)
_SPELLED: dict[Form, Callable[[re.Match[str]], str]] = {
    Form.EMAIL: lambda match: f"{match[2].lower().translate(_LOOK_ALIKE)}@{_DOMAIN}",
    Form.URL: lambda match: f"https://{match[4].lower().translate(_LOOK_ALIKE)}.{_DOMAIN}/",
    Form.PHONE: lambda match: "+999" + "".join(filter(str.isdigit, match[0]))[-12:],
    Form.TIME: lambda match: f"{match[7]}T{match[8]}Z",
    Form.DATE: lambda match: match[0],
    Form.UUID: lambda match: match[0].lower(),
    Form.NUMBER: lambda match: match[0][:16],
}
_ID = re.compile(_CHARACTERS)

_VALUES = {
    Form.EMAIL: re.compile(r"[^\s@]{1,64}@[^\s@]{1,253}\.[^\s@.]{2,63}"),
    Form.URL: re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{1,20}://\S{1,2000}"),
    Form.PHONE: re.compile(r"\+?(?:[ .\-/()]{0,2}\d){7,15}"),
    Form.DATE: re.compile(r"\d{4}-\d\d-\d\d"),
    Form.TIME: re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+\-]\d\d:?\d\d)?"),
    Form.UUID: re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"),
    Form.NUMBER: re.compile(r"-?\d{1,18}(?:\.\d{1,18})?"),
}
"""What a value of each form looks like."""


def _day(number: int) -> date:
    return date.fromordinal(_FIRST_DAY + number % _DAYS)


def _checked_digits(form: Form, number: int, digits: int, check: int, keyed: Digest) -> str:
    id_ = f"{number % 10**digits:0{digits}}"
    return f"{id_}{_check(form, id_, keyed) % 10**check:0{check}}"


def _checked_letters(form: Form, number: int, keyed: Digest) -> str:
    id_ = "".join(_ALPHABET[number >> 5 * at & 31] for at in range(8))
    return id_ + _letters_check(form, id_, keyed)


def _letters_check(form: Form, id_: str, keyed: Digest) -> str:
    check = _check(form, id_, keyed)
    return _ALPHABET[check & 31] + _ALPHABET[check >> 5 & 31]


def _uuid(id_: int, keyed: Digest) -> str:
    written = f"{id_:013x}"
    tail = f"{written}{_check(Form.UUID, written, keyed) % 16**5:05x}"
    return f"{_MARK}{tail[:3]}-8{tail[3:6]}-{tail[6:]}"


def _uuid_id(text: str) -> int:
    tail = text.removeprefix(_MARK).replace("-8", "", 1).replace("-", "")
    return int(tail[:13], 16)


def _check(form: Form, id_: str, keyed: Digest) -> int:
    return int.from_bytes(keyed(f"check {form} {id_}".encode())[:8], "big")
