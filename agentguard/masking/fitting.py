"""Whether a value can be what its field's name promises."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from agentguard.masking import words as known
from agentguard.masking.phrases import WORD
from agentguard.masking.randomness import looks_random

if TYPE_CHECKING:
    from agentguard.masking.keys import Key

_PARTICLES = r"(?:(?:de|da|del|della|di|der|den|la|le|van|von|bin|al|el|y|e|zu|dos|das|du|ter|ten)\b ?)*"
_NAME_SHAPE = re.compile(
    r"(?:(?:Dr|Mr|Mrs|Ms|Prof|Herr|Frau|Sr|Sra|Mme)\.? )?[^\W\d_a-z][^\W\d_]*(?:['’.\-][^\W\d_]+)*\.?"
    rf"(?:,? {_PARTICLES}[^\W\d_][^\W\d_]*(?:['’.\-][^\W\d_]+)*\.?){{1,4}}\Z"
)
_LONGEST_NAME = 80
_LONGEST_FIELD = 1000


def masks_whole(key: Key, text: str) -> bool:
    """Whether a value under this key is masked whole: not where it says nothing, or can't be what the key promises."""
    if key.entity is None:
        return False
    plain = text.strip()
    if not plain or plain.lower() in known.NOTHING:
        return False
    if key.policy:
        return True
    if _EXPRESSION.match(plain):
        return False
    if "[" in plain:
        plain = _STOOD_FOR.sub(_form_of, plain)
    if key.shaped:
        return looks_random(plain) if key.entity == "API_KEY" else looks_like_a_name(plain)
    return _FITS.get(key.entity, _fits_any)(plain)


def _form_of(token: re.Match[str]) -> str:
    """What a token or a redaction may have stood for, so that a value that was masked in part fits as it did before."""
    return _FORMS.get(token.group(1), "x")


_STOOD_FOR = re.compile(r"\[([A-Z0-9]{1,24})(?:_[0-9a-z]{10}|[A-Z0-9_]{0,40} redacted)\]")
_FORMS = {"EMAIL": "a@a.example", "IP": "192.0.2.1", "URL": "https://a.example", "MAC": "00:00:5e:00:53:01"}


_EXPRESSION = re.compile(
    r"[A-Za-z_$][\w$.]*[(\[][^)\]]*[)\]]?|(?:self|cls|this|os|sys|env|config|settings|process|request|args|options|ctx|kwargs)\.[A-Za-z_]"
    r"|(?:lambda|await|not|new) |(?:int|str|bool|float|list|dict|bytes|Any)\b ?[=|,)]|[=!<>]=? "
    r"|None\b|__\w|[(\[]?\w*\] ?==|\((?:self|[a-z_]+),|\"\\\\"
)
"""What stands in a program where a value would: a call, an attribute, an index."""


def is_just(key: Key, text: str) -> bool:
    """Whether a value is what its key promises and plainly nothing else, so that no pattern need look at it.

    Such a value is masked whole: `masks_whole` says so as well.
    """
    form = _JUST.get(key.entity) or (_PLACE if key.policy else None)
    if form is None or form.match(text) is None:
        return False
    if form is _PLACE:
        return text.lower() not in known.NOTHING
    if form is not _NAME:
        return True
    plain = text.lower()
    return plain not in known.NOTHING and _OF_UNITS.isdisjoint(plain.split(" "))


_NAME = re.compile(r"[A-Z][a-z]{1,13}(?: [A-Z][a-z]{1,13}){1,3}\Z")
# No word is as long as the id of a token, and no two numbers stand together.
_PLACE = re.compile(r"(?:[0-9]{1,5} )?[A-Z][a-z]{1,8}(?:[ \-][A-Za-z][a-z]{1,8}){0,4}(?: [0-9]{1,5}[a-z]?)?\Z")
_JUST: dict[str | None, re.Pattern[str]] = {
    "EMAIL_ADDRESS": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\-]{0,62}@[A-Za-z0-9][A-Za-z0-9.\-]{0,250}[A-Za-z]\Z"),
    "PHONE_NUMBER": re.compile(r"\+?(?:[0-9][ \-]?){6,14}[0-9]\Z"),
    "CREDIT_CARD": re.compile(r"(?:[0-9][ \-]?){11,18}[0-9]\Z"),
    "PERSON": _NAME,
    "ADDRESS": _PLACE,
    "CITY": _PLACE,
}


def looks_like_a_name(text: str) -> bool:
    """Two to five capitalised words without digits, and none that only organisations have."""
    if len(text) > _LONGEST_NAME or _NAME_SHAPE.match(text) is None:
        return False
    words = WORD.findall(text)
    return (
        not any(word.lower() in known.ORGANISATION for word in words)
        and sum(not word[0].islower() for word in words) > 1
    )


def _fits_any(text: str) -> bool:
    return any(map(str.isalnum, text))


def _fits_person(text: str) -> bool:
    return (
        any(map(str.isalpha, text))
        and len(text) <= _LONGEST_FIELD
        and not _THING.match(text)
        and not _is_organisation(text)
    )


_THING = re.compile(
    r"https?://|/|\.{1,2}/|[$<]\{?|\{\{|%\(|[\w.-]+/[\w.-]+\Z|[a-z0-9]+(?:_[a-z0-9]+)+\Z|[a-z0-9]+(?:\.[A-Za-z0-9]+)+\Z"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-"
)
"""Paths, places of a value to come, snake_case, dotted names and UUIDs: no person is called so."""


def _is_organisation(text: str) -> bool:
    last = WORD.findall(text)[-1:]
    return bool(last) and last[0].lower() in _LEGAL_FORMS


_LEGAL_FORMS = frozenset({"inc", "llc", "ltd", "gmbh", "corp", "plc", "sarl", "srl", "bv", "limited", "corporation"})
_OF_UNITS = known.ORGANISATION | _LEGAL_FORMS


def _fits_number(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= 3


def _fits_id(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= 5


def _fits_phone(text: str) -> bool:
    digits = sum(map(str.isdigit, text))
    return 5 <= digits <= 20 and digits * 2 >= len(text) - 6 and text.lstrip("-")[:1] != "" and not _DECIMAL.match(text)


_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+\Z")


def _fits_email(text: str) -> bool:
    return "@" in text or " at " in text or "[at]" in text or "%40" in text


def _fits_address(text: str) -> bool:
    is_other = _NO_STREET.match(text) or ("@" in text and " " not in text) or text == "0"
    return _fits_any(text) and not is_other


_NO_STREET = re.compile(
    r"[a-z+]+://|0x|[0-9]+(?:\.[0-9]+){3}|[\w.-]+:[0-9]{1,5}\Z|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,8}\Z"
    r"|[0-9a-fA-F:]*::|[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}"
    r"|true\b|false\b|[$<{]|(?:bc1|1|3|0x)[0-9A-Za-z]{25,}\Z"
)
"""Where something listens or is stored, rather than where somebody lives."""


def _fits_date(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= 4


def _fits_key(text: str) -> bool:
    """A secret, and no name of a variable or a place of one."""
    return _fits_secret(text) and _VARIABLE.match(text) is None


_VARIABLE = re.compile(
    r"_*[a-z]+(?:[_.\-][a-z]+)*,?\Z|_*[A-Z]+(?:_[A-Z]+)*,?\Z|[a-z]+(?:[A-Z][a-z]+)+,?\Z|[A-Za-z_]+(?:\.[A-Za-z_]+)+,?\Z"
)


def _fits_secret(text: str) -> bool:
    return len(text) >= 3 and not text.startswith(("$", "{{", "<", "%(", "env:", "process.env", "os.environ"))


def _fits_ip(text: str) -> bool:
    return text.count(".") == 3 or text.count(":") >= 2


def _fits_gps(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= 3 and "." in text


def _fits_place(text: str) -> bool:
    return any(map(str.isalpha, text)) and len(text) <= _LONGEST_NAME and not _NO_STREET.match(text)


_FITS: dict[str, Callable[[str], bool]] = {
    "PERSON": _fits_person,
    "PHONE_NUMBER": _fits_phone,
    "EMAIL_ADDRESS": _fits_email,
    "ADDRESS": _fits_address,
    "CITY": _fits_place,
    "DATE_OF_BIRTH": _fits_date,
    "PASSWORD": _fits_secret,
    "API_KEY": _fits_key,
    "CREDIT_CARD": _fits_number,
    "CVV": _fits_number,
    "US_SSN": _fits_number,
    "US_ITIN": _fits_number,
    "UK_NHS": _fits_number,
    "NATIONAL_ID": _fits_id,
    "UK_NINO": _fits_number,
    "ABA_ROUTING_NUMBER": _fits_number,
    "IBAN_CODE": _fits_number,
    "IP_ADDRESS": _fits_ip,
    "MAC_ADDRESS": _fits_number,
    "GPS": _fits_gps,
}
