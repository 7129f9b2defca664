"""Tokens: what the model sees in place of a value.

Rules:
- `[EMAIL_k3q7xz2m4c]`: a word for the type, eight characters of a keyed hash over tenant, session, type and canonical value, and two
  check characters over word and id, keyed as well. The same value in the same session is the same token, in every process.
- Reading is tolerant: case, other brackets or none, escapes, other dashes, look-alike characters. The check must be right. What a model
  writes into a call is read in plain form as well (see `views`).
- Whether a token was ever given is for the vault to say; a right check alone resolves nothing.
- Where a tool's schema would refuse a token, the model is given a stand-in (see `standins`) in its place; the token is there all the same.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import re2

from agentguard.masking.standins import (
    STAND_IN_FORM,
    Form,
    form_for,
    has_form,
    is_nobodys,
    is_right,
    stand_in,
    stand_ins_in,
)
from agentguard.masking.views import plain_view
from agentguard.model.keyed import KeyedHash
from agentguard.model.record import Json
from agentguard.model.tokens import Token

if TYPE_CHECKING:
    from agentguard.masking.known import KnownValues

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LOOK_ALIKE = str.maketrans("ilo", "110")
_ID_LENGTH, _CHECK_LENGTH = 8, 2
_TOKENS_KEPT = 4096

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
CLOSE = r"(?:\\?\]|%5[Dd]|&#93;|&rbrack;|>|\}|\u3011|\uff3d)?"
BETWEEN = "\\\\?_|%5[Ff]|[ \\-\u2010-\u2015\u2212:]"
BODY = rf"([A-Za-z][A-Za-z0-9]{{0,23}})(?:{BETWEEN}){{1,3}}([0-9A-Za-z]{{10}})"
"""Of a token, for `re`: its word and its id, however they are joined."""

_READ = re.compile(rf"(?:{_OPEN}|(?<![0-9A-Za-z])){BODY}(?![0-9A-Za-z]){CLOSE}")
_FORM = rf"[0-9A-Za-z](?:{BETWEEN}){{1,3}}[0-9A-Za-z]{{10}}(?:[^0-9A-Za-z]|$)".encode()
"""For RE2: what every token holds, however it is spelled."""

_DISGUISED = (
    rb"%[0-9A-Fa-f]{2}|\\[ux][0-9A-Fa-f]{2}|&[#A-Za-z]|[\x{a0}\x{ad}\x{2000}-\x{200f}\x{202a}-\x{202f}\x{2060}-\x{206f}\x{fe00}-\x{fe0f}"
    rb"\x{feff}\x{ff10}-\x{ff19}\x{ff21}-\x{ff3b}\x{ff3d}\x{ff3f}\x{ff41}-\x{ff5a}\x{e0000}-\x{e007f}]"
)
"""For RE2: what is not read as it stands: escapes, entities, wide letters, characters that show nothing."""

TOKEN_PATTERN = r"^\[[A-Z][A-Z0-9]{0,23}_[0-9a-z]{10}\]$"  # noqa: S105 - a form, no secret
"""A token as it is made, for a JSON Schema."""


def _any_of(*forms: bytes) -> re2.Set:
    """Tells whether any of these forms stands in a text: a set, since a pattern of RE2 makes its match in Python."""
    options = re2.Options()
    options.max_mem = 64 * 1024 * 1024
    found = re2.Set.SearchSet(options)
    for form in forms:
        found.Add(form)
    found.Compile()
    return found


_GATE, _DISGUISE = _any_of(_FORM), _any_of(_DISGUISED)
_ANYTHING = _any_of(_FORM, _DISGUISED, STAND_IN_FORM)
"""What stands in every text that holds a token or stand-in, disguised or not."""

_WORD_LIKE_AN_ID = re.compile(r"[0-9A-Za-z]{10}")
_SHORT = 256


class TokenIds:
    """Makes and reads the tokens of one session. `keys`: newest first; the first makes, all are read.

    `known`: the values that the session has seen; None where each value is masked by itself. `forms`: the entity types whose values
    the model is given as stand-ins, and in which forms; it may grow. `made`: what `token` has told already, as far as it is kept.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        tenant: str,
        session: str,
        known: KnownValues | None = None,
        forms: Mapping[str, Collection[Form]] | None = None,
    ) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self.known = known
        self._forms = forms if forms is not None else {}
        scope = _joined(tenant, session)
        derived = [KeyedHash(key).digest(b"agentguard token\0" + scope) for key in keys]
        self._newest = KeyedHash(derived[0])
        self._pseudonyms = (keys[0], tenant)
        self._checks = tuple(blake2b(key=key, digest_size=8) for key in derived)
        self._keyed = tuple(KeyedHash(key).digest for key in derived)
        self.made: dict[tuple[str, str], Token] = {}
        self._stand_ins: dict[str, Token] = {}
        self._has_fitted = False

    def token(self, entity_type: str, value: str) -> Token:
        """The token of a value. Its `value` is the text as given; spellings of one value share the token's text."""
        spelled = entity_type, value
        token = self.made.get(spelled)
        if token is None:
            if len(self.made) >= _TOKENS_KEPT:
                self.made.clear()
            token = self.made[spelled] = self._new(entity_type, value)
        return token

    def pseudonym(self, entity_type: str, value: str) -> str:
        """Twenty letters for a value, the same in all sessions of the tenant; nothing turns them back."""
        key, tenant = self._pseudonyms
        of_tenant = KeyedHash(KeyedHash(key).digest(b"agentguard pseudonym\0" + _joined(tenant)))
        digest = of_tenant.digest(_joined(entity_type, canonical_value(entity_type, value)))
        return "".join(chr(ord("a") + nibble) for byte in digest[:10] for nibble in divmod(byte, 16))

    def _new(self, entity_type: str, value: str) -> Token:
        word, prefix = _type_name(entity_type)
        canonical = canonical_value(entity_type, value)
        digest = self._newest.digest(prefix + _with_length(canonical))
        name = f"{word}_{_id(digest)}"
        return Token(f"[{name}{_check(self._checks[0], name)}]", entity_type, value, canonical)

    @property
    def has_stand_ins(self) -> bool:
        """Whether the model is given stand-ins for some types, or was given one where a result's schema takes no token."""
        return bool(self._forms) or self._has_fitted

    def stand_in(self, token: Token) -> Token | None:
        """What the model is given in place of this token, where a tool needs the value's format kept; None: the token itself.

        Where two values of a session come to the same stand-in, the second one has none.
        """
        forms = self._forms.get(token.entity_type)
        form = next((form for form in forms if has_form(token.value, form)), None) if forms else None
        return None if form is None else self._stood_for(token, form)

    def stand_in_as(self, token: Token, form: Form) -> Token | None:
        """What the model is given in place of this token where only this form can stand; None where its value is not of that form."""
        if not has_form(token.value, form):
            return None
        self._has_fitted = True
        return self._stood_for(token, form)

    def nobody(self, form: Form, value: str) -> Token | None:
        """A stand-in that stands for nobody, for a value of that form."""
        return Token(stand_in(form, bytes(12), self._keyed[0]), "", "") if has_form(value, form) else None

    def _stood_for(self, token: Token, form: Form) -> Token | None:
        seed = self._keyed[0](b"stand-in\0" + form.encode() + b"\0" + _joined(*token.identity))
        text = stand_in(form, seed, self._keyed[0])
        if len(self._stand_ins) >= _TOKENS_KEPT:
            self._stand_ins.clear()
        given = self._stand_ins.setdefault(text, token)
        return token._replace(text=text) if given.identity == token.identity else None

    def avoid(self, texts: Iterable[str]) -> None:
        """Give these stand-ins to no value any more: another process gave them for other values."""
        self._stand_ins.update((text, Token(text, "", "")) for text in texts)

    def read(self, text: str) -> list[tuple[int, int, str]]:
        """The tokens in a text, and the stand-ins: (start, end, text as it was made), however the model spelled them."""
        return self._with_stand_ins(text, list(self._right_tokens(text)))

    def right(self, text: str, written: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
        """Those of these tokens in a text whose check is right, and the stand-ins in it."""
        return self._with_stand_ins(text, [one for one in written if self._is_right(one[2])])

    def _with_stand_ins(self, text: str, tokens: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
        stand_ins = [(start, end, made) for start, end, made in stand_ins_in(text) if self._is_ours(made)]
        if not stand_ins:
            return tokens
        return sorted([*stand_ins, *_apart(tokens, stand_ins)])

    def read_disguised(self, text: str) -> list[tuple[int, int, str]]:
        """The same, also where a model wrote it in escapes, entities, full-width letters or with characters that show nothing."""
        if not _holds(_ANYTHING, text):
            return []
        found = self.read(text)
        view = plain_view(text) if _holds(_DISGUISE, text) else None
        if view is None:
            return found
        plain = [(*view.origin(start, end), made) for start, end, made in self.read(view.text)]
        return sorted([*plain, *_apart(found, plain)])

    def _is_ours(self, stand_in_text: str) -> bool:
        """Whether this is a stand-in and no real value, if maybe another session's, or an invented one."""
        return is_nobodys(stand_in_text) or any(is_right(stand_in_text, keyed) for keyed in self._keyed)

    def _right_tokens(self, text: str) -> Iterator[tuple[int, int, str]]:
        """The tokens whose check is right; what only looks like one may hide the beginning of the next."""
        if len(text) < _ID_LENGTH or not _may_hold_token(text):
            return
        match = _READ.search(text)
        while match is not None:
            token = as_made(*match.groups())
            right = self._is_right(token)
            if right:
                yield match.start(), match.end(), token
            match = _READ.search(text, match.end() if right else match.start(2))

    def _is_right(self, token: str) -> bool:
        name, check = token[1 : -1 - _CHECK_LENGTH], token[-1 - _CHECK_LENGTH : -1]
        return any(hmac.compare_digest(_check(keyed, name).encode(), check.encode()) for keyed in self._checks)


def _apart(
    spans: Iterable[tuple[int, int, str]], others: Collection[tuple[int, int, str]]
) -> list[tuple[int, int, str]]:
    """Those of the spans that touch none of the others."""
    return [each for each in spans if all(each[1] <= start or end <= each[0] for start, end, _ in others)]


def _check(keyed: blake2b, name: str) -> str:
    """The check characters of `WORD_id`. `keyed` is the hash with nothing but the key in it."""
    checked = keyed.copy()
    checked.update(name.encode())
    return _PAIRS[int.from_bytes(checked.digest()[6:8], "big") & 1023]


def candidates(text: str) -> list[tuple[int, int, str]]:
    """What has the form of a token, however spelled, its check not looked at: (start, end, text in the form it is made)."""
    if len(text) < _ID_LENGTH or not _may_hold_token(text):
        return []
    return [(match.start(), match.end(), as_made(*match.groups())) for match in _READ.finditer(text)]


def as_made(word: str, written: str) -> str:
    """A token in the form it is made, from its word and its id as somebody wrote them."""
    return f"[{word.upper()}_{written.lower().translate(_LOOK_ALIKE)}]"


def token_word(entity_type: str) -> str:
    """The word in a token for an entity type: capitals and digits only."""
    return WORDS.get(entity_type) or _NOT_WORD.sub("", entity_type.upper())[:24] or "DATA"


def form_wanted(takes: Callable[[Json], bool], entity_type: str) -> Form | None:
    """The form of stand-in for a place that takes some values and not others; None where a token can stand there, or no form fits."""
    return None if _takes_token(takes, entity_type) else form_for(takes)


def takes_placeholder(takes: Callable[[Json], bool], entity_type: str) -> bool:
    """Whether a token or a stand-in can stand in a place that takes some values and not others."""
    return _takes_token(takes, entity_type) or form_for(takes) is not None


def _takes_token(takes: Callable[[Json], bool], entity_type: str) -> bool:
    """Whether a token can stand there, with its brackets or without."""
    name = f"{token_word(entity_type)}_{_ALPHABET[:10]}"
    return takes(f"[{name}]") or takes(name)


@lru_cache(maxsize=256)
def _type_name(entity_type: str) -> tuple[str, bytes]:
    """The word of an entity type, and what the hash of an id starts with."""
    return token_word(entity_type), b"id\0" + _with_length(entity_type)


def canonical_value(entity_type: str, value: str) -> str:
    """One text for all spellings of a value that mean the same."""
    text = (value if value.isascii() else unicodedata.normalize("NFKC", value)).strip()
    if entity_type == "EMAIL_ADDRESS":
        local, at, domain = text.rpartition("@")
        return f"{local}{at}{domain.casefold()}"
    if entity_type == "PHONE_NUMBER":
        digits = [c for c in text.lower() if c.isdigit() or c == "x"]
        return "".join(["+", *digits] if text.startswith("+") else digits)
    if entity_type in _COMPACT:
        return "".join(filter(str.isalnum, text)).upper()
    return text


_COMPACT = frozenset(
    {"CREDIT_CARD", "IBAN_CODE", "US_SSN", "US_ITIN", "MAC_ADDRESS", "UK_NHS", "UK_NINO", "ABA_ROUTING_NUMBER"}
)


def _may_hold_token(text: str) -> bool:
    """Whether the form of a token stands in a text. The arguments of most calls have no word as long as an id."""
    if len(text) <= _SHORT and _WORD_LIKE_AN_ID.search(text) is None:
        return False
    return _holds(_GATE, text)


def _holds(forms: re2.Set, text: str) -> bool:
    return forms.Match(text.encode("utf-8", "replace")) is not None


def _joined(*parts: str) -> bytes:
    """Parts with their lengths, so that no two lists of parts give the same bytes."""
    return b"".join(map(_with_length, parts))


def _with_length(part: str) -> bytes:
    encoded = part.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(8, "big") + encoded


def _id(digest: bytes) -> str:
    """Forty bits of a digest in eight characters."""
    bits = int.from_bytes(digest[3:8], "big")
    return _PAIRS[bits & 1023] + _PAIRS[bits >> 10 & 1023] + _PAIRS[bits >> 20 & 1023] + _PAIRS[bits >> 30]


_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
