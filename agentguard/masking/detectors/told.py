"""Numbers and dates that only the words before them tell: `passport no. X1234567`, `born on 12 March 1980`.

Rules:
- the word stands just before the value, with nothing between them but words such as `number`, `is`, `on`, and marks;
- what follows has the form that the word promises, and a checksum where there is one; a bare date or number is nothing;
- a word that means other things too (`DL`, `PIN`) needs the word `number` or a mark after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import re2

from agentguard.masking.anchors import Anchor
from agentguard.masking.detectors.named_checksums import holds
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

_SURE, _LIKELY = 0.95, 0.9
_MARKS = r"[\s\"'*_:=#.,()\[\]\-–/]"
_FILLERS = (
    r"(?:card|number|numbers|num|no|nr|nos|id|ids|code|value|is|was|are|as|of|the|my|his|her|their|your|on|in|at|date|issued|ending"
    r"|n°|nº|numéro|numero|número|nummer|lautet|ist|est|es|am|le|el|de|del|du|la|and|has|with|to|ein|eine|dem)"
)
_BETWEEN = re.compile(rf"{_MARKS}{{0,4}}(?:{_FILLERS}\b{_MARKS}{{0,4}}){{0,4}}", re.IGNORECASE)
_DATE = (
    r"(?:(?:19|20)[0-9]{2}[-./][01]?[0-9][-./][0-3]?[0-9]|[0-3]?[0-9][-./ ][0-3]?[0-9][-./ ](?:(?:19|20)[0-9]{2}|[0-9]{2})"
    r"|[0-3]?[0-9](?:st|nd|rd|th|\.|er)?(?: of| de)?[ -][^\W\d_]{3,10}\.?,?(?: de)?[ -](?:19|20)[0-9]{2}"
    r"|[^\W\d_]{3,10}\.? [0-3]?[0-9](?:st|nd|rd|th)?,? (?:19|20)[0-9]{2})(?![0-9])"
)
_ID = r"[A-Za-z]{0,5}[-. ]?[0-9](?:[- ]?[0-9A-Za-z]){3,18}"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What a word promises. `digits`: how many there must be. `marked`: only after a mark or the word `number`."""

    entity_type: str
    form: re.Pattern[str]
    digits: int = 0
    marked: bool = False
    score: Callable[[str], float] = lambda _: _SURE


def _form(pattern: str, *, any_case: bool = False) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern})(?![0-9A-Za-z_])", re.IGNORECASE if any_case else 0)


def _by_checksum(name: str, otherwise: float = 0.2) -> Callable[[str], float]:
    return lambda value: _SURE if holds(name, value) else otherwise


def _bic(value: str) -> float:
    return _SURE if value[4:6] in _COUNTRIES else 0.0


_COUNTRIES = frozenset(
    "AD AE AL AM AO AR AT AU AZ BA BB BD BE BG BH BM BN BO BR BS BW BY BZ CA CD CH CI CL CM CN CO CR CU CW CY CZ DE DK DO DZ EC EE"
    " EG ES ET FI FJ FR GA GB GE GG GH GI GR GT HK HN HR HU ID IE IL IM IN IQ IR IS IT JE JM JO JP KE KG KH KR KW KY KZ LA LB LI"
    " LK LT LU LV LY MA MC MD ME MG MK MM MN MO MT MU MV MX MY MZ NA NG NI NL NO NP NZ OM PA PE PH PK PL PR PS PT PY QA RO RS RU"
    " RW SA SC SE SG SI SK SM SN SV SY TH TN TR TT TW TZ UA UG US UY UZ VA VE VG VN XK YE ZA ZM ZW".split()
)
_BIRTH = _Kind(entity_type="DATE_OF_BIRTH", form=_form(_DATE, any_case=True), digits=3)
_PASSPORT = _Kind(entity_type="PASSPORT", form=_form(r"[A-Z]{0,3} ?[0-9][0-9A-Z]{5,10}|[A-Z][0-9A-Z]{7,9}"), digits=5)
_LICENCE = _Kind(
    entity_type="DRIVER_LICENSE",
    form=_form(r"[A-Z0-9]{1,16}(?:[- ][A-Z0-9]*[0-9][A-Z0-9]*){0,4}"),
    digits=4,
)
_RECORD = _Kind(entity_type="MEDICAL_RECORD_NUMBER", form=_form(_ID), digits=4)
_ACCOUNT = _Kind(entity_type="ACCOUNT_ID", form=_form(_ID), digits=5)
_CUSTOMER = _Kind(entity_type="CUSTOMER_ID", form=_form(_ID), digits=4)
_EMPLOYEE = _Kind(entity_type="EMPLOYEE_ID", form=_form(_ID), digits=4)
_NATIONAL = _Kind(entity_type="NATIONAL_ID", form=_form(r"[A-Z0-9](?:[-. /]?[0-9A-Z]){5,19}"), digits=6)
_TAX = _Kind(entity_type="TAX_ID", form=_form(r"[A-Z0-9](?:[-. /]?[0-9A-Z]){6,15}"), digits=7)
_BIC = _Kind(entity_type="BIC", form=_form(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?"), score=_bic)
_ABA = _Kind(entity_type="ABA_ROUTING_NUMBER", form=_form(r"[0-9]{4}-?[0-9]{4}-?[0-9]"), score=_by_checksum("aba"))
_NHS = _Kind(
    entity_type="UK_NHS", form=_form(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}"), score=_by_checksum("nhs", _LIKELY)
)
_PASSWORD = _Kind(
    entity_type="PASSWORD",
    form=re.compile(
        r"(?!\$[{(]|\$[A-Z_]{3}|\{\{|%\()"  # where a value is put in later
        r"(?=[^\s\"'<>,;\x1f]*[0-9!@#$%^&*?+=])(?=[^\s\"'<>,;\x1f]*[A-Za-z])[^\s\"'<>,;\x1f]{5,64}(?<![.)\]:])"
    ),
    marked=True,
)
_CVV = _Kind(entity_type="CVV", form=_form(r"[0-9]{3,4}"))
_PIN = _Kind(entity_type="PASSWORD", form=_form(r"[0-9]{4,8}"), marked=True)
_OTP = _Kind(entity_type="PASSWORD", form=_form(r"[0-9]{3}[ -]?[0-9]{3}|[0-9]{4,8}"))
_PLATE = _Kind(
    entity_type="LICENSE_PLATE", form=_form(r"[A-ZÄÖÜ0-9]{1,4}[- ]?[A-Z0-9]{1,4}(?:[- ]?[A-Z0-9]{1,4})?"), digits=2
)
_KINDS: dict[str, _Kind] = {
    word: kind
    for kind, words in (
        (_BIRTH, "born|dob|d.o.b|d.o.b.|date of birth|birth date|birthdate|birthday|geboren|geb|geburtsdatum|né|née|nacido|nacida"),
        (_PASSPORT, "passport|reisepass|passeport|pasaporte|passaporto"),
        (
            _LICENCE,
            "driver's license|drivers license|driver license|driving license|driver's licence|drivers licence|driving licence"
            "|driver’s license|driver’s licence|führerschein|führerscheinnummer|permis de conduire|licencia de conducir|dln|dl",
        ),
        (_RECORD, "mrn|medical record|medical record number|chart number|patient id|patient number|patientennummer"),
        (_ACCOUNT, "account number|account no|account #|acct no|acct number|acct #|kontonummer|numéro de compte|número de cuenta"),
        (_CUSTOMER, "customer number|customer id|customer no|client number|client id|member id|member number|kundennummer"),
        (_EMPLOYEE, "employee id|employee number|employee no|staff id|staff number|personalnummer"),
        (_NATIONAL, "national id|identity card|id card|identity number|personalausweis|carte d'identité|documento de identidad"),
        (_TAX, "tax id|taxpayer id|tax number|steuernummer|steuer-id|tin"),
        (_BIC, "bic|swift|swift/bic|bic/swift"),
        (_ABA, "aba|routing|routing number|rtn|aba routing"),
        (_NHS, "nhs"),
        (_CVV, "cvv|cvc|cvv2|cvc2|card security code"),
        (_PASSWORD, "password|passphrase|passwort|kennwort|mot de passe|contraseña|passwd|pwd"),
        (_PIN, "pin"),
        (_OTP, "otp|one-time code|one time code|one-time password|verification code|security code|passcode|login code|tan"),
        (_PLATE, "license plate|licence plate|number plate|plate number|kennzeichen"),
    )
    for word in words.split("|")
}  # fmt: skip
_ANY = "|".join(re2.escape(word) for word in sorted(_KINDS, key=lambda word: (-len(word), word)))
_WORD = re2.compile(rf"(?i)(?:^|[^\pL\pN])({_ANY})")

TOLD = tuple(_KINDS)
"""The telling words."""


class ToldNumbers:
    """Identity, account and card numbers, dates of birth and codes, by the words before them."""

    name = "told"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.TOLD})

    def find(self, page: Page) -> Iterator[Finding]:
        """What stands behind a telling word."""
        text = page.text
        for start, end in page.spans(_WORD):
            kind = _KINDS.get(text[start:end].lower())
            if kind is None or text[end : end + 1].isalnum():
                continue
            value = _value(text, start, end, kind)
            if value is not None:
                score = kind.score(value.group())
                if score > 0:
                    yield Finding(*value.span(), kind.entity_type, score, self.name)


def _value(text: str, start: int, end: int, kind: _Kind) -> re.Match[str] | None:
    """The value after the word that stands here."""
    between: Any = _BETWEEN.match(text, end)
    at = between.end()
    value = kind.form.match(text, at) if at > end else None
    if (
        value is not None
        and kind.marked
        and not (_TELLING.search(text, end, at) or _is_plain(text[start:end], value.group()))
    ):
        return None
    if value is None or sum(map(str.isdigit, value.group())) < kind.digits:
        return None
    return value


def _is_plain(word: str, value: str) -> bool:
    """What needs no mark between: `PIN 4821`, `password hunter2!`."""
    if word == "PIN":
        return len(value) == len("4821") and value.isdigit()
    return _MIXED.search(value) is not None


_MIXED = re.compile(r"(?=.*[a-z])(?=.*[0-9]).*[!@#$%^&*?+=]")
_TELLING = re.compile(r"[:=#]|\b(?:is|number|no|nr|ist|est|es)\b", re.IGNORECASE)
