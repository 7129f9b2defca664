"""The name of a field as words, and what those words say by themselves.

Rules:
- `customerName`, `customer_name`, `Customer-Name` and `CUSTOMER NAME` are the same words; accents, plurals and numbers don't count;
- what stands in front (`primary_phone`, `customer.address.city`) doesn't change what the end says, but for a few words that do
  (`ip_address`); nor do words that only say that there is a value (`phones.0.value`);
- a `name` is a person's after a word for a person (`payer_name`), and a thing's after any other (`file_name`).
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from agentguard.masking import words as known

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
WORD = re.compile(r"[^\W_]+")
_LONGEST_KEY = 96
_LONGEST_PHRASE = 4


class Kind(Enum):
    """How far a field's words go by themselves."""

    NOTHING = "nothing"
    SURE = "sure"
    ROLE = "role"  # a person where the value looks like a name
    NAME = "name"  # the keys beside it decide
    TITLE = "title"  # a person's where the object is a person's, else a role
    PLACE = "place"  # only where a person or an address is told of
    NAME_PART = "name part"  # `first`, `family`: under a name, or beside its other half
    ADDRESS_PART = "address part"  # `line`, `number`: under an address
    SECRET = "secret"  # noqa: S105 - a secret where the value looks drawn at random
    VALUE = "value"  # whatever the key above says


class Meaning(NamedTuple):
    """What the words of a field say."""

    kind: Kind
    entity: str | None = None


_NOTHING = Meaning(Kind.NOTHING)


@lru_cache(maxsize=8192)
def split(name: str) -> str:
    """The words of a field's name, in lower case, without accents and numbers: "customer name"."""
    if len(name) > _LONGEST_KEY:
        return ""
    plain = name.removesuffix("__c")
    plain = plain if plain.isascii() else _without_accents(plain)
    words = [word.lower() for word in WORD.findall(_CAMEL.sub(" ", plain))]
    return " ".join([word for word in words if not word.isdigit()] or words[:1])


def _without_accents(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name.replace("ß", "ss")) if not unicodedata.combining(c))


@lru_cache(maxsize=8192)
def meaning_of(phrase: str) -> Meaning:
    """What a field of these words says."""
    words = phrase.split(" ")
    while len(words) > 1 and words[-1] in known.VALUES:
        words.pop()
    if len(words) == 1 and words[0] in known.VALUES:
        return Meaning(Kind.VALUE)
    for length in range(min(_LONGEST_PHRASE, len(words)), 0, -1):
        found = _of_tail(" ".join(words[-length:]), words[:-length])
        if found is not None:
            return found
    return _NOTHING


def _of_tail(tail: str, front: list[str]) -> Meaning | None:
    entity = _looked_up(tail)
    if entity is None and not _is_known(tail) and (parted := _parted(tail)):
        return meaning_of(" ".join([*front, *parted]))
    if entity is not None:
        before = front[-1] if front else ""
        other = (entity == "ADDRESS" and before in known.NOT_ADDRESS) or (front and tail in known.ALONE)
        kind = (
            Kind.SECRET if entity == "API_KEY" and tail not in known.WHOLE else Kind.SURE
        )  # a list of `secrets` may be their names
        return _NOTHING if other else Meaning(kind, entity)
    if tail in known.RANDOM or _singular(tail) in known.RANDOM:
        return _NOTHING if front and front[-1] in known.NOT_SECRET else Meaning(Kind.SECRET, "API_KEY")
    if tail in known.NAMES:
        return _name_after(front)
    if tail in known.TITLES:
        return Meaning(Kind.SURE if front and is_of_people(front) else Kind.TITLE, "PERSON")
    if tail in known.CITY or tail in known.ZIP:
        other = bool(front) and front[-1] in known.NOT_HOME
        return _NOTHING if other else Meaning(Kind.PLACE, "CITY" if tail in known.CITY else "ZIP_CODE")
    if _is_role(tail):
        return Meaning(Kind.ROLE, "PERSON")
    if tail in known.NAME_PARTS:
        named = bool(front) and front[-1] in known.NAMES
        return Meaning(Kind.SURE if named else Kind.NAME_PART, "PERSON") if named or not front else None
    if tail in known.ADDRESS_PARTS and not front:
        return Meaning(Kind.ADDRESS_PART, "ADDRESS")
    return None


def _is_known(tail: str) -> bool:
    return tail in known.NAMES or tail in known.TITLES or tail in known.ROLES or tail in known.PEOPLE


def _parted(word: str) -> tuple[str, str] | None:
    """Two words that were written as one, as databases do with `mailingCity`: `mailing city`."""
    if len(word) < _SHORTEST_PARTED or not word.isalpha():
        return None
    for last in _LAST_OF_TWO:
        first = word.removesuffix(last)
        if first != word and (first in _FIRST_OF_TWO or _singular(first) in _FIRST_OF_TWO):
            return first, last
    return None


_SHORTEST_PARTED = 8
_LAST_OF_TWO = (
    "name",
    "city",
    "code",
    "zip",
    "street",
    "address",
    "phone",
    "phones",
    "number",
    "value",
    "email",
    "date",
)
_FIRST_OF_TWO = frozenset(
    word
    for phrase in (*known.WHOLE, *known.PEOPLE, *known.FILLERS, *known.CITY, *known.ZIP, *known.TITLES)
    for word in phrase.split()
) | {"mailing", "business", "display", "formatted"}


def _looked_up(phrase: str) -> str | None:
    for written in (phrase, _singular(phrase), phrase.rstrip("0123456789")):
        found = known.WHOLE.get(written) or (known.JOINED.get(written) if " " not in written else None)
        if found is not None:
            return found
    return known.WHOLE.get(phrase[:-2]) if phrase.endswith("es") else None


def _singular(phrase: str) -> str:
    return phrase[:-1] if phrase.endswith("s") and len(phrase) > 3 else phrase


def _name_after(front: list[str]) -> Meaning:
    if not front:
        return Meaning(Kind.NAME, "PERSON")
    if " ".join(front).endswith(("email address", "emailaddress", "mail address")):
        return Meaning(Kind.SURE, "PERSON")  # the name that a mail program shows for an address
    return Meaning(Kind.SURE, "PERSON") if is_of_people(front) else _NOTHING


def is_of_people(words: list[str]) -> bool:
    """Whether the last word that tells something is one for a person: `customer`, `billing details`."""
    telling = [word for word in words if word not in known.FILLERS]
    last = telling[-1] if telling else ""
    return last in known.PEOPLE or _singular(last) in known.PEOPLE or " ".join(telling[-2:]) in known.PEOPLE


def _is_role(tail: str) -> bool:
    if tail in known.ROLES or _singular(tail) in known.ROLES:
        return True
    verb, _, by = tail.rpartition(" ")
    return by == "by" and verb.endswith("ed") and " " not in verb
