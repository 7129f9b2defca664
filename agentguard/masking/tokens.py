"""Tokens: what the model sees in place of a value.

Rules:
- `[EMAIL_k3q7xz2m4c]`: a word for the type, eight characters of a keyed hash over tenant, session, type and canonical value, and two
  check characters over word and id, keyed as well. The same value in the same session is the same token, in every process.
- Reading is tolerant: case, other brackets or none, escapes, other dashes, look-alike characters. The check must be right.
- Whether a token was ever given is for the vault to say; a right check alone resolves nothing.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b

import re2

from agentguard.model.tokens import Token

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LOOK_ALIKE = str.maketrans("ilo", "110")
_ID_LENGTH, _CHECK_LENGTH = 8, 2

WORDS = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "US_SSN": "SSN",
    "US_ITIN": "ITIN",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "MAC",
    "API_KEY": "KEY",
    "PRIVATE_KEY": "PRIVATEKEY",
    "DATE_OF_BIRTH": "BIRTHDATE",
    "ACCOUNT_ID": "ACCOUNT",
    "CUSTOMER_ID": "CUSTOMER",
    "EMPLOYEE_ID": "EMPLOYEE",
    "MEDICAL_RECORD_NUMBER": "MRN",
    "ZIP_CODE": "ZIP",
}
"""Words that differ from their entity type without its underscores."""

_NOT_WORD = re.compile(r"[^A-Z0-9]")
_OPEN = r"(?:\\?\[|%5[Bb]|&#91;|&lbrack;|<|\{|\u3010|\uff3b)"
_CLOSE = r"(?:\\?\]|%5[Dd]|&#93;|&rbrack;|>|\}|\u3011|\uff3d)?"
_BETWEEN = r"(?:\\?_|%5[Ff]|[ \-\u2010-\u2015\u2212:]){1,3}"
_BODY = rf"([A-Za-z][A-Za-z0-9]{{0,23}}){_BETWEEN}([0-9A-Za-z]{{10}})"
_READ = re.compile(rf"(?:{_OPEN}|(?<![0-9A-Za-z])){_BODY}(?![0-9A-Za-z]){_CLOSE}")
_GATE = re2.compile("[0-9A-Za-z](?:\\\\?_|%5[Ff]|[ \\-\u2010-\u2015\u2212:]){1,3}[0-9A-Za-z]{10}".encode())


class TokenIds:
    """Makes and reads the tokens of one session. `keys`: newest first; the first makes, all are read."""

    def __init__(self, keys: Sequence[bytes], tenant: str, session: str) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        scope = _joined(tenant, session)
        self._keys = tuple(hmac.digest(key, b"agentguard token\0" + scope, "sha256") for key in keys)

    def token(self, entity_type: str, value: str) -> Token:
        """The token of a value. Its `value` is the text as given; spellings of one value share the token's text."""
        word = token_word(entity_type)
        canonical = canonical_value(entity_type, value)
        name = _joined(entity_type, canonical)
        name_id = _base32(hmac.digest(self._keys[0], b"id\0" + name, "sha256"), _ID_LENGTH)
        return Token(f"[{word}_{name_id}{self._check(self._keys[0], word, name_id)}]", entity_type, value, canonical)

    def read(self, text: str) -> list[tuple[int, int, str]]:
        """The tokens in a text: (start, end, text of the token as it was made), however the model spelled them."""
        return [candidate for candidate in candidates(text) if self._is_right(candidate[2])]

    def _is_right(self, token: str) -> bool:
        word, _, body = token[1:-1].rpartition("_")
        name_id, check = body[:_ID_LENGTH], body[_ID_LENGTH:]
        return any(hmac.compare_digest(self._check(key, word, name_id).encode(), check.encode()) for key in self._keys)

    @staticmethod
    def _check(key: bytes, word: str, name_id: str) -> str:
        return _base32(blake2b(f"{word}_{name_id}".encode(), key=key, digest_size=8).digest(), _CHECK_LENGTH)


def candidates(text: str) -> list[tuple[int, int, str]]:
    """What has the form of a token, however spelled, its check not looked at: (start, end, text in the form it is made)."""
    if len(text) < _ID_LENGTH or not _may_hold_token(text):
        return []
    return [
        (match.start(), match.end(), f"[{match.group(1).upper()}_{match.group(2).lower().translate(_LOOK_ALIKE)}]")
        for match in _READ.finditer(text)
    ]


def token_word(entity_type: str) -> str:
    """The word in a token for an entity type: capitals and digits only."""
    return WORDS.get(entity_type) or _NOT_WORD.sub("", entity_type.upper())[:24] or "DATA"


def canonical_value(entity_type: str, value: str) -> str:
    """One text for all spellings of a value that mean the same."""
    text = (value if value.isascii() else unicodedata.normalize("NFKC", value)).strip()
    if entity_type == "EMAIL_ADDRESS":
        local, at, domain = text.rpartition("@")
        return f"{local}{at}{domain.casefold()}"
    if entity_type == "PHONE_NUMBER":
        return ("+" if text.startswith("+") else "") + "".join(c for c in text.lower() if c.isdigit() or c == "x")
    if entity_type in _COMPACT:
        return "".join(c for c in text if c.isalnum()).upper()
    return text


_COMPACT = frozenset({"CREDIT_CARD", "IBAN_CODE", "US_SSN", "US_ITIN", "MAC_ADDRESS"})


def _may_hold_token(text: str) -> bool:
    return _GATE.search(text.encode("utf-8", "replace")) is not None


def _joined(*parts: str) -> bytes:
    """Parts with their lengths, so that no two lists of parts give the same bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)


def _base32(digest: bytes, length: int) -> str:
    """Characters for the first bits of a digest; `length` is even."""
    number = int.from_bytes(digest[:8], "big")
    return "".join([_PAIRS[number >> 10 * i & 1023] for i in range(length // 2)])


_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
