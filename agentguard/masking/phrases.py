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
from agentguard.masking.whole_names import ALONE, JOINED, WHOLE

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
    while len(words) > 1 and words[-1] in known.VALUES and " ".join(words) not in WHOLE:
        words.pop()
    if len(words) == 1 and words[0] in known.VALUES:
        return Meaning(Kind.VALUE)
    for length in range(min(_LONGEST_PHRASE, len(words)), 0, -1):
        found = _of_tail(" ".join(words[-length:]), words[:-length])
        if found is not None:
            return found
    return _NOTHING


@lru_cache(maxsize=8192)
def half_of(phrase: str) -> str:
    """Which half of a name a field of these words holds: "given", "family", or "" for neither."""
    words = phrase.split(" ")
    for length in range(min(3, len(words)), 0, -1):
        tail = " ".join(words[-length:])
        if tail in known.GIVEN:
            return "given"
        if tail in known.FAMILY:
            return "family"
    return ""


def _of_tail(tail: str, front: list[str]) -> Meaning | None:
    entity = _looked_up(tail)
    if entity is None and not _is_known(tail) and (parted := _parted(tail)):
        return meaning_of(" ".join([*front, *parted]))
    if entity is not None:
        before = front[-1] if front else ""
        other = (entity == "ADDRESS" and before in known.NOT_ADDRESS) or (front and tail in ALONE)
        if entity == "API_KEY" and (
            other or tail not in WHOLE
        ):  # `secrets` and `image_pull_secret` may be names of them
            return Meaning(Kind.SECRET, entity)
        return _NOTHING if other else Meaning(Kind.SURE, entity)
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
    return _of_part(tail, front)


def _of_part(tail: str, front: list[str]) -> Meaning | None:
    """What the name of a part of a name or of an address says."""
    if tail in known.NAME_PARTS:
        named = bool(front) and front[-1] in known.NAMES
        return Meaning(Kind.SURE if named else Kind.NAME_PART, "PERSON") if named or not front else None
    if tail in known.ADDRESS_PARTS and not front:
        return Meaning(Kind.ADDRESS_PART, "ADDRESS")
    return None


def _sure(entity: str, tail: str, front: list[str]) -> Meaning:
    """What a name of the dictionary says behind other words."""
    other = (entity == "ADDRESS" and bool(front) and front[-1] in known.NOT_ADDRESS) or (bool(front) and tail in ALONE)
    if entity == "API_KEY" and (other or tail not in WHOLE):  # `secrets` and `image_pull_secret` may be names of them
        return Meaning(Kind.SECRET, entity)
    return _NOTHING if other else Meaning(Kind.SURE, entity)


def _is_known(tail: str) -> bool:
    return (
        tail in known.RANDOM
        or tail in known.NAMES
        or tail in known.TITLES
        or tail in known.ROLES
        or tail in known.PEOPLE
    )


def _parted(word: str) -> tuple[str, str] | None:
    """Two words that were written as one, as databases do with `mailingCity`: `mailing city`."""
    if len(word) < _SHORTEST_PARTED or not word.isalpha():
        return None
    for last in _LAST_OF_TWO:
        first = word.removesuffix(last)
        if first != word and (first in _FIRST_OF_TWO or _singular(first) in _FIRST_OF_TWO):
            return first, last
    for last in _OFTEN_SECRET:
        first = word.removesuffix(last)
        if first not in ("", word) and not first.endswith(_OF_OTHERS):
            return first, last
    for start in range(2, len(word) - _SHORTEST_TAIL + 1):
        if word[start:] in _TAILS:
            return word[:start], word[start:]
    return None


_SHORTEST_PARTED = 5
_SHORTEST_TAIL = 8
_OFTEN_SECRET = ("token", "secret", "credential", "apikey")
_OF_OTHERS = tuple(word for word in sorted(known.NOT_SECRET) if len(word) > 3)
_TAILS = frozenset(
    phrase.replace(" ", "")
    for phrase in WHOLE
    if len(phrase.replace(" ", "")) >= _SHORTEST_TAIL and phrase not in ALONE
)
"""What is long enough to be told at the end of any word: `stripesecretkey`, `patientnachname`."""
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
    "token",
    "key",
    "secret",
    "dob",
    "iban",
    "bic",
    "ssn",
    "num",
    "no",
    "nr",
    "id",
    "physician",
    "password",
)
_FIRST_OF_TWO = frozenset(
    word
    for phrase in (*WHOLE, *known.PEOPLE, *known.FILLERS, *known.CITY, *known.ZIP, *known.TITLES, *known.ROLES)
    for word in phrase.split()
) | set(
    "mailing business display formatted oauth bot device push fcm apns registration verification reset invite deploy license github"
    " gitlab slack stripe openai azure aws gcp link jwt csrf debtor creditor payout property insured"
    " spouse child attending primary tel card"
    " acct cust whatsapp born tax auth security".split()
)


def _looked_up(phrase: str) -> str | None:
    for written in (phrase, _singular(phrase), phrase.rstrip("0123456789")):
        found = WHOLE.get(written) or (JOINED.get(written) if " " not in written else None)
        if found is not None:
            return found
    return WHOLE.get(phrase[:-2]) if phrase.endswith("es") else None


def _singular(phrase: str) -> str:
    return phrase[:-1] if phrase.endswith("s") and len(phrase) > 3 else phrase


def _name_after(front: list[str]) -> Meaning:
    if not front:
        return Meaning(Kind.NAME, "PERSON")
    if " ".join(front).endswith(("email address", "emailaddress", "mail address")):
        return Meaning(Kind.SURE, "PERSON")  # the name that a mail program shows for an address
    if is_of_people(front):
        return Meaning(Kind.SURE, "PERSON")
    return Meaning(Kind.ROLE, "PERSON") if front[-1] in known.ROLES else _NOTHING


def is_of_people(words: list[str]) -> bool:
    """Whether the last word that tells something is one for a person: `customer`, `billing details`."""
    telling = [word for word in words if word not in known.FILLERS]
    if _is_role(" ".join(telling[-2:])) and telling[-1] == "by":
        return True
    last = telling[-1] if telling else ""
    return last in known.PEOPLE or _singular(last) in known.PEOPLE or " ".join(telling[-2:]) in known.PEOPLE


def _is_role(tail: str) -> bool:
    if tail in known.ROLES or _singular(tail) in known.ROLES:
        return True
    verb, _, by = tail.rpartition(" ")
    return by == "by" and verb.endswith("ed") and " " not in verb


@lru_cache(maxsize=4096)
def label_of(names: tuple[str, ...]) -> tuple[int, int] | None:
    """In an object with these keys: where the label stands, and the value that it is the label of."""
    if not 2 <= len(names) <= _MOST_BESIDE_A_LABEL:
        return None
    phrases = [split(name) for name in names]
    values = [at for at, phrase in enumerate(phrases) if phrase in known.LABELLED]
    labels = [at for at, phrase in enumerate(phrases) if phrase in known.LABELS and at not in values]
    return (labels[0], values[0]) if labels and len(values) == 1 else None


@lru_cache(maxsize=4096)
def table_of(names: tuple[str, ...]) -> tuple[int, int] | None:
    """In an object with these keys: where the names of columns stand, and where their rows do."""
    lower = [name.lower() for name in names]
    columns = next((lower.index(name) for name in _COLUMNS if name in lower), None)
    rows = next((at for at, name in enumerate(lower) if name in ROWS), None)
    return None if columns is None or rows is None else (columns, rows)


_MOST_BESIDE_A_LABEL = 8
_COLUMNS = ("columns", "headers", "header", "fields", "column_names", "columnnames", "cols")
ROWS = frozenset({"rows", "data", "values", "records", "results", "datarows"})
"""Names of what holds the rows of a table."""
