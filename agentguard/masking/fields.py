"""What the name of a field says about its value.

Rules:
- Names are compared as words: `customerName`, `customer_name`, `Customer-Name` and `CUSTOMER NAME` are one; a plural and a number
  at the end don't count; words in front of a known name (`primary_phone`, `old_street_address`) don't change it.
- Some names are enough (`full_name`, `iban`). A role (`assignee`) needs a value that looks like a name.
- A bare `name` is a person's if the key above it is a person's or the keys beside it are what people have; not where they are what
  files, tools, products or companies have.
- City and postal code count only where a person or an address is told of.
- What policy names, by path, comes first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from agentguard.masking import words as known

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
_PARTICLES = r"(?:(?:de|da|del|della|di|der|den|la|le|van|von|bin|al|el|y|e|zu|dos|das|du|ter|ten)\b ?)*"
_NAME_SHAPE = re.compile(
    r"(?:(?:Dr|Mr|Mrs|Ms|Prof|Herr|Frau|Sr|Sra|Mme)\.? )?[^\W\d_a-z][^\W\d_]*(?:['’.\-][^\W\d_]+)*\.?"
    rf"(?:,? {_PARTICLES}[^\W\d_][^\W\d_]*(?:['’.\-][^\W\d_]+)*\.?){{1,4}}\Z"
)
_LONGEST_NAME = 80
_LONGEST_KEY = 64


class Key(NamedTuple):
    """What a field's name says: `entity` of the whole value (None: nothing), and its words as context.

    `shaped`: only where the value looks like a person's name. `policy`: named by the operator, no questions asked.
    """

    entity: str | None = None
    words: str = ""
    shaped: bool = False
    policy: bool = False


NO_KEY = Key()


@lru_cache(maxsize=8192)
def split(name: str) -> str:
    """The words of a field's name, in lower case, without accents, plural or trailing number: "customer name"."""
    if len(name) > _LONGEST_KEY:
        return ""
    plain = name if name.isascii() else _without_accents(name)
    words = [w.lower() for w in _WORD.findall(_CAMEL.sub(" ", plain))]
    while len(words) > 1 and words[-1].isdigit():
        words.pop()
    return " ".join(words)


def _without_accents(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name.replace("ß", "ss")) if not unicodedata.combining(c))


@lru_cache(maxsize=8192)
def entity_of(phrase: str) -> str | None:
    """What a field of these words holds, whatever stands beside it. City and postal code are not among them."""
    words = phrase.split(" ")
    for length in range(min(4, len(words)), 0, -1):
        tail = words[-length:]
        front = words[-length - 1] if len(words) > length else ""
        found = _looked_up(" ".join(tail))
        if found is None:
            continue
        if (found == "ADDRESS" and front in known.NOT_ADDRESS) or (length < len(words) and _weak_tail(" ".join(tail))):
            return None
        return found
    return None


def _looked_up(phrase: str) -> str | None:
    found = known.WHOLE.get(phrase)
    if found is None and phrase.endswith("s"):
        found = known.WHOLE.get(phrase[:-1]) or (known.WHOLE.get(phrase[:-2]) if phrase.endswith("es") else None)
    if found is None and phrase[-1:].isdigit():
        found = known.WHOLE.get(phrase.rstrip("0123456789"))
    return found


_WEAK_TAILS = frozenset(
    "holder residence pin cell mail secret mobile portable pan born apartment clave titular inhaber credential voie handy gps passport"
    " tin nie swift ip otp passenger birthday mobil calle rue".split()
)


def _weak_tail(phrase: str) -> bool:
    """Names that stand for themselves only: `pin` is one, `gpio_pin` is not."""
    return phrase in _WEAK_TAILS


class Scope(NamedTuple):
    """Where in a value a key stands: what the keys above it said, and how far the policy's paths are matched."""

    above: str = ""
    inherited: Key = NO_KEY
    states: frozenset[tuple[int, int]] = frozenset()


Said = tuple[Key, Scope]
"""What a key says, and the scope of what lies under it."""


class Fields:
    """Reads keys. `paths`: globs of dotted paths to entity types, as in the policy's `masking.fields`.

    `*` is one key, `**` any number; list indexes are no part of a path; keys are compared as they are written.
    """

    def __init__(self, paths: Mapping[str, str] | None = None) -> None:
        globs = [(tuple(path.split(".")), entity) for path, entity in (paths or {}).items()]
        self._globs = globs
        self._cache: dict[tuple[Scope, tuple[Any, ...]], tuple[Said, ...]] = {}
        self.root = Scope(states=self._closed((index, 0) for index in range(len(globs))))

    def keys(self, scope: Scope, names: tuple[Any, ...]) -> tuple[Said, ...]:
        """For the keys of one object, in order: what each says. A key that is no text says nothing."""
        found = self._cache.get((scope, names))
        if found is None:
            found = self._read(scope, tuple([str(name) if isinstance(name, str) else "" for name in names]))
            if len(names) <= CACHED_KEYS:
                if len(self._cache) >= _CACHED_SHAPES:
                    self._cache.clear()
                self._cache[scope, names] = found
        return found

    def _read(self, scope: Scope, names: tuple[str, ...]) -> tuple[Said, ...]:
        phrases = [split(name) for name in names]
        entities = [entity_of(phrase) for phrase in phrases]
        personal = _is_personal(scope.above, phrases, entities)
        located = personal or "ADDRESS" in entities or scope.inherited.entity == "ADDRESS"
        return tuple(
            self._key(scope, name, phrase, entity, personal, located)
            for name, phrase, entity in zip(names, phrases, entities, strict=True)
        )

    def _key(self, scope: Scope, name: str, phrase: str, entity: str | None, personal: bool, located: bool) -> Said:
        states = self._stepped(scope.states, name) if scope.states else scope.states
        ruled = next((self._globs[i][1] for i, at in sorted(states) if at == len(self._globs[i][0])), None)
        if ruled is not None:
            key = Key(ruled, phrase, policy=True)
        elif entity is not None:
            key = Key(entity if personal or entity not in _ONLY_OF_PEOPLE else None, phrase)
        elif phrase in known.NAMES:
            key = Key("PERSON", phrase) if personal else Key(None, phrase)
        elif located and phrase in known.CITY:
            key = Key("CITY", phrase)
        elif located and phrase in known.ZIP:
            key = Key("ZIP_CODE", phrase)
        elif phrase in known.ROLES or (phrase.endswith("s") and phrase[:-1] in known.ROLES):
            key = Key("PERSON", phrase, shaped=True)
        else:
            key = Key(None, phrase)
        return key, Scope(phrase, key, states)

    def _closed(self, states: Iterable[tuple[int, int]]) -> frozenset[tuple[int, int]]:
        """States with those that follow without a key: `**` may stand for nothing."""
        closed = set(states)
        pending = list(closed)
        while pending:
            index, at = pending.pop()
            glob = self._globs[index][0]
            if at < len(glob) and glob[at] == "**" and (index, at + 1) not in closed:
                closed.add((index, at + 1))
                pending.append((index, at + 1))
        return frozenset(closed)

    def _stepped(self, states: frozenset[tuple[int, int]], name: str) -> frozenset[tuple[int, int]]:
        following: list[tuple[int, int]] = []
        for index, at in states:
            glob = self._globs[index][0]
            if at == len(glob):
                continue
            if glob[at] == "**":
                following.append((index, at))
            elif glob[at] in ("*", name):
                following.append((index, at + 1))
        return self._closed(following)


_ONLY_OF_PEOPLE = frozenset({"GPS", "TAX_ID", "BIC"})
"""What companies and places have as well."""

CACHED_KEYS = 64
"""Objects with more keys than this are read anew each time."""

_CACHED_SHAPES = 2048


def _is_personal(above: str, phrases: Sequence[str], entities: Sequence[str | None]) -> bool:
    """Whether an object with these keys, under that key, tells of a person."""
    if any(entity in known.STRONG for entity in entities):
        return True
    things = sum(phrase in known.THINGS for phrase in phrases)
    over = above in known.PEOPLE or above.rpartition(" ")[2] in known.PEOPLE
    people = sum(entity in known.PERSONAL for entity in entities) + sum(
        phrase in known.PERSONAL_WORDS for phrase in phrases
    )
    return over or people > things


def masks_whole(key: Key, text: str) -> bool:
    """Whether a value under this key is masked whole: not where it says nothing, or can't be what the key promises."""
    if key.entity is None:
        return False
    plain = text.strip()
    if not plain or plain.lower() in known.NOTHING:
        return False
    if key.policy:
        return True
    if key.shaped:
        return looks_like_a_name(plain)
    return _FITS.get(key.entity, _fits_any)(plain)


def is_just(key: Key, text: str) -> bool:
    """Whether a value is what its key promises and plainly nothing else, so that no pattern need look at it.

    Such a value is masked whole: `masks_whole` says so as well.
    """
    form = _JUST.get(key.entity or "")
    return form is not None and form.match(text) is not None and (key.entity != "PERSON" or masks_whole(key, text))


_JUST = {
    "EMAIL_ADDRESS": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\-]{0,62}@[A-Za-z0-9][A-Za-z0-9.\-]{0,250}[A-Za-z]\Z"),
    "PHONE_NUMBER": re.compile(r"\+?(?:[0-9][ \-]?){6,14}[0-9]\Z"),
    "CREDIT_CARD": re.compile(r"(?:[0-9][ \-]?){11,18}[0-9]\Z"),
    "PERSON": re.compile(r"[A-Z][a-z]{1,13}(?: [A-Z][a-z]{1,13}){1,3}\Z"),
}


def looks_like_a_name(text: str) -> bool:
    """Two to five capitalised words without digits, and none that only organisations have."""
    if len(text) > _LONGEST_NAME or _NAME_SHAPE.match(text) is None:
        return False
    return not any(word.lower() in known.ORGANISATION for word in _WORD.findall(text))


def _fits_any(text: str) -> bool:
    return any(map(str.isalnum, text))


def _fits_person(text: str) -> bool:
    return any(map(str.isalpha, text)) and not text.startswith(("http://", "https://")) and not _is_organisation(text)


def _is_organisation(text: str) -> bool:
    last = _WORD.findall(text)[-1:]
    return bool(last) and last[0].lower() in _LEGAL_FORMS


_LEGAL_FORMS = frozenset({"inc", "llc", "ltd", "gmbh", "corp", "plc", "sarl", "srl", "bv", "limited", "corporation"})


def _fits_number(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= 3


def _fits_phone(text: str) -> bool:
    digits = sum(map(str.isdigit, text))
    return 5 <= digits <= 20 and digits * 2 >= len(text) - 6 and text.lstrip("-")[:1] != "" and not _DECIMAL.match(text)


_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+\Z")


def _fits_email(text: str) -> bool:
    return "@" in text or " at " in text or "[at]" in text or "%40" in text


def _fits_address(text: str) -> bool:
    is_other = text.startswith(("http://", "https://", "0x")) or ("@" in text and " " not in text)
    return _fits_any(text) and not is_other


def _fits_date(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= 4


def _fits_secret(text: str) -> bool:
    return len(text) >= 3 and not text.startswith(("$", "{{", "<", "%(", "env:", "process.env", "os.environ"))


def _fits_ip(text: str) -> bool:
    return text.count(".") == 3 or text.count(":") >= 2


def _fits_gps(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= 3 and "." in text


_FITS = {
    "PERSON": _fits_person,
    "PHONE_NUMBER": _fits_phone,
    "EMAIL_ADDRESS": _fits_email,
    "ADDRESS": _fits_address,
    "DATE_OF_BIRTH": _fits_date,
    "PASSWORD": _fits_secret,
    "API_KEY": _fits_secret,
    "CREDIT_CARD": _fits_number,
    "CVV": _fits_number,
    "US_SSN": _fits_number,
    "IBAN_CODE": _fits_number,
    "IP_ADDRESS": _fits_ip,
    "MAC_ADDRESS": _fits_number,
    "GPS": _fits_gps,
    "ACCOUNT_ID": _fits_any,
    "ZIP_CODE": _fits_any,
}
