"""A value made coarser: enough to reason with, too little to tell one person from the others. The same again on itself.

- A date of birth becomes its year, an age a band of ten years.
- A postal code keeps its area: the outward part of a British one, the first half of any other.
- An IP address keeps its network: /24 of version 4, /48 of version 6.
- A place on earth keeps one decimal, about ten kilometres. An e-mail address keeps its domain, a telephone number its country.
- Any other number is rounded to two digits, and any other date keeps its year, as ISO 8601-2 writes it: 2019-XX-XX.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network

_YEAR = re.compile(r"(?<![0-9])(?:1[89]|20)[0-9]{2}(?![0-9])")
_YEAR_IN_DIGITS = re.compile(r"((?:19|20)[0-9]{2})[01][0-9][0-3][0-9]\Z")
_DATE = re.compile(r"[0-9]{1,4}[-./ ][0-9A-Za-z]{1,9}[-./ ][0-9]{2,4}|[A-Za-z]{3,9}\.? [0-9]{1,2},? [0-9]{4}")
_IN_A_YEAR = re.compile(r"[0-9]{4}-XX-XX\Z")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?\Z")
_UK_POSTCODE = re.compile(r"([A-Z]{1,2}[0-9][A-Z0-9]?)(?: ?[0-9][A-Z]{2})?\Z", re.IGNORECASE)
_COUNTRY = re.compile(r"(\+(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[0-9]{3}))")
_OLDEST, _BAND = 120, 10
_A_BAND = re.compile(r"[0-9]{1,2}0-[0-9]{1,2}9\Z|0-9\Z")
_DIGITS_KEPT = 2


def coarser(entity_type: str, value: str) -> str | None:
    """The value made coarser; None where nothing coarser is known of it."""
    text = value.strip()
    known = _BY_TYPE.get(entity_type)
    return known(text) if known is not None else _by_form(text) if entity_type not in TELLING else None


def _year(text: str) -> str | None:
    found = _YEAR.search(text) or _YEAR_IN_DIGITS.match(text)
    return found.group(found.lastindex or 0) if found else None


def _band(text: str) -> str | None:
    if _A_BAND.match(text):
        return text
    if not text.isdecimal() or int(text[:4]) > _OLDEST:
        return None
    first = int(text) // _BAND * _BAND
    return f"{first}-{first + _BAND - 1}"


def _area(text: str) -> str | None:
    if text.endswith("*"):
        return text
    british = _UK_POSTCODE.match(text)
    if british:
        return british.group(1)
    kept = len(text) // 2
    return text[:kept] + "*" * (len(text) - kept) if kept else None


def _network(text: str) -> str | None:
    address = text.partition("/")[0]
    try:
        prefix = 24 if ip_address(address).version == 4 else 48
    except ValueError:
        return None
    return str(ip_network(f"{address}/{prefix}", strict=False))


def _nearby(text: str) -> str | None:
    parts = re.findall(r"-?[0-9]{1,3}\.[0-9]+", text)
    return ", ".join(f"{float(part):.1f}" for part in parts) or None


def _domain(text: str) -> str | None:
    domain = text.rpartition("@")[2]
    return f"***@{domain}" if "@" in text and domain else None


def _country(text: str) -> str | None:
    found = _COUNTRY.match("+" + text[2:] if text.startswith("00") else text)
    return f"{found.group(1)} ***" if found else None


def _by_form(text: str) -> str | None:
    if _NUMBER.match(text):
        return _rounded(text)
    if _IN_A_YEAR.match(text):
        return text
    year = _year(text) if _DATE.match(text) else None
    return f"{year}-XX-XX" if year else None


def _rounded(text: str) -> str:
    number = float(f"{float(text):.{_DIGITS_KEPT - 1}e}")
    return str(int(number)) if number == int(number) else str(number)


_BY_TYPE: dict[str, Callable[[str], str | None]] = {
    "DATE_OF_BIRTH": _year,
    "DATE_TIME": _year,
    "AGE": _band,
    "ZIP_CODE": _area,
    "IP_ADDRESS": _network,
    "GPS": _nearby,
    "EMAIL_ADDRESS": _domain,
    "PHONE_NUMBER": _country,
}

COARSER = frozenset(_BY_TYPE)
"""Types of which something coarser is known."""

TELLING = frozenset(
    "ACCOUNT_ID ADDRESS API_KEY BIC CITY CREDIT_CARD CRYPTO CUSTOMER_ID CVV DRIVER_LICENSE EMPLOYEE_ID IBAN_CODE JWT LICENSE_PLATE"
    " MAC_ADDRESS MEDICAL_RECORD_NUMBER NATIONAL_ID PASSPORT PASSWORD PERSON PRIVATE_KEY TAX_ID URL US_ITIN US_SSN ABA_ROUTING_NUMBER"
    " UK_NHS UK_NINO".split()
)
"""Types of which any part tells too much, or nothing: made coarser, they are named by their type alone."""
