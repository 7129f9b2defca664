"""How a value is shown to a person who decides: enough to recognise it, never all of it; and nothing invisible."""

from __future__ import annotations

import re
import unicodedata

_WORDS = re.compile(r"[^\W_]+")
_TAIL = 4
_HIDDEN = 4
_BY_TAIL = frozenset(
    "CREDIT_CARD IBAN_CODE PHONE_NUMBER US_SSN US_ITIN ACCOUNT_ID CUSTOMER_ID TAX_ID PASSPORT NATIONAL_ID DRIVER_LICENSE"
    " MEDICAL_RECORD_NUMBER EMPLOYEE_ID UK_NHS UK_NINO ABA_ROUTING_NUMBER".split()
)


def partial(entity_type: str, value: str) -> str:
    """`d***@acme.example`, `A. K.`, `***1111`: a part by which a person knows the value again. The same again on itself."""
    text = value.strip()
    if entity_type == "EMAIL_ADDRESS" and "@" in text:
        local, _, domain = text.rpartition("@")
        return f"{local[:1]}***@{domain}"
    if entity_type == "PERSON":
        return " ".join(f"{word[0]}." for word in _WORDS.findall(text)) or "***"
    if entity_type in _BY_TAIL:
        return tail(text)
    if entity_type == "IP_ADDRESS" and text.count(".") == 3:
        first, second, *_ = text.split(".")
        return f"{first}.{second}.*.*"
    return "***"


def tail(text: str, keep: int = _TAIL) -> str:
    """`***1111`: the last letters and digits, of which at least four stay hidden. The same again on itself."""
    kept = [c for c in text if c.isalnum()]
    shown = min(keep, max(0, len(kept) - _HIDDEN)) if not text.startswith("***") else keep
    return "***" + "".join(kept[max(0, len(kept) - shown) :])


def visible(text: str) -> str:
    r"""Text with every character that shows nothing, or moves others, written as an escape: `\\\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _shows(c) else _escaped(c) for c in text)


def _shows(c: str) -> bool:
    if c == " " or c == "\n" or c == "\t":
        return True
    return (
        c not in _BLANK
        and unicodedata.category(c) not in _UNSHOWN
        and not 0xFE00 <= ord(c) <= 0xFE0F
        and not 0xE0100 <= ord(c) <= 0xE01EF
    )


_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u2800")


def _escaped(c: str) -> str:
    code = ord(c)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
