"""Whether names seen in structured results are found again in later prose, and what else is taken for them.

    .venv/bin/python -m benchmarks.known_values [--seed N] [--sessions N] [--misses]

A session sees a few records of people, then sentences that speak of them as people do: in full, turned round, in another case, by
one name, with a title or an initial. Recall is the share of mentions of which nothing is left. Then the same session reads prose in
which nobody of these people stands, the documentation of Python's own library; each change to it is a false alarm.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from agentguard.masking import KnownValues, Masker, TokenIds
from benchmarks.tool_results.people import Person

GOAL_RECALL, GOAL_ALARMS = 0.95, 1.0
PEOPLE = 6
CLEAN_CHARACTERS = 200_000

SAID = (
    "{} called about the parcel.",
    "We spoke to {} on Tuesday, and the lamp is on its way.",
    "please ask {} whether the invoice arrived",
    "The note was signed by {}; nobody else had seen it.",
    "Next steps: {} sends the contract, then we wait.",
    "FYI {} is out of office until Monday.",
    "A reply came from {}.",
)
"""Sentences about somebody."""

WAYS = (
    "in full",
    "turned round",
    "with a comma",
    "upper case",
    "lower case",
    "first name",
    "last name",
    "title",
    "initial",
)


def spoken(given: str, family: str, way: str) -> str:
    """A name as somebody writes it later."""
    match way:
        case "in full":
            return f"{given} {family}"
        case "turned round":
            return f"{family} {given}"
        case "with a comma":
            return f"{family}, {given}"
        case "upper case":
            return f"{given} {family}".upper()
        case "lower case":
            return f"{given} {family}".lower()
        case "first name":
            return given
        case "last name":
            return family
        case "title":
            return f"Dr. {family}"
        case _:
            return f"{given[0]}. {family}"


def results(people: list[Person]) -> Iterator[dict[str, Any]]:
    """Records of these people as tools give them: one with the name in parts, or whole."""
    for number, person in enumerate(people):
        given, family = person.given().text, person.family().text
        name = {"first_name": given, "last_name": family} if number % 2 else {"full_name": f"{given} {family}"}
        yield {"customer": {**name, "email": person.email().text, "street": person.street().text}, "status": "active"}


def alarms(ids: TokenIds, prose: str) -> Iterator[str]:
    """What is changed in prose in which none of the people stands."""
    for paragraph in prose.split("\n\n"):
        if ids.known is not None:
            for seen in ids.known.find(paragraph):
                yield paragraph[max(0, seen.start - 30) : seen.end + 30]


def library_prose(size: int) -> str:
    """Text about Python's own library, by its own authors."""
    pieces: list[str] = []
    length = 0
    for module in sorted(pkgutil.iter_modules([sysconfig.get_paths()["stdlib"]]), key=lambda one: one.name):
        if length > size:
            break
        if module.name.startswith(("_", "idlelib", "test", "this", "antigravity", "turtle", "lib2to3")):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = importlib.import_module(module.name)
        for _, member in [
            ("", found),
            *inspect.getmembers(found, lambda one: inspect.isclass(one) or inspect.isroutine(one)),
        ]:
            said = inspect.getdoc(member) or ""
            pieces.append(said)
            length += len(said)
    return "\n\n".join(pieces)[:size]


class Measured(NamedTuple):
    """What came of some sessions: mentions by how they were written, those that were hidden, and false alarms."""

    asked: Counter[str]
    hit: Counter[str]
    alarms: int
    searched: int
    shown: list[str]

    @property
    def recall(self) -> float:
        """Of all mentions."""
        return self.hit.total() / self.asked.total()

    @property
    def per_100_kb(self) -> float:
        """False alarms."""
        return self.alarms / self.searched * 1e5


def measured(seed: int, sessions: int) -> Measured:
    """The same sessions for the same seed."""
    masker, random = Masker(), Random(seed)
    asked, hit, shown = Counter[str](), Counter[str](), list[str]()
    prose = library_prose(CLEAN_CHARACTERS)
    false = 0
    for number in range(sessions):
        ids = TokenIds([b"k" * 32], "acme", f"session-{number}", KnownValues())
        people = [Person.new(random) for _ in range(PEOPLE)]
        for result in results(people):
            masker.mask(result, ids)
        for person in people:
            way = random.choice(WAYS)
            mention = spoken(person.given_name, person.family_name, way)
            sentence = random.choice(SAID).format(mention)
            left = mention in masker.mask({"text": sentence}, ids).value["text"]
            asked[way] += 1
            hit[way] += not left
            shown += [f"missed {way}: {sentence}"] if left else []
        found = list(alarms(ids, prose))
        false += len(found)
        shown += [f"alarm: {around!r}" for around in found]
    return Measured(asked, hit, false, sessions * len(prose), shown)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--sessions", type=int, default=60)
    options.add_argument("--misses", action="store_true", help="show what was missed, and false alarms")
    chosen = options.parse_args()
    found = measured(chosen.seed, chosen.sessions)
    print(f"{chosen.sessions} sessions of {PEOPLE} people; one mention of each in later prose")
    print(f"recall {found.recall:.3f} of {found.asked.total()} mentions; goal {GOAL_RECALL}")
    for way in WAYS:
        print(f"  {way:13} {found.hit[way]:4} of {found.asked[way]}")
    print(
        f"false alarms {found.per_100_kb:.2f} per 100 kB ({found.alarms} in {found.searched} characters); goal {GOAL_ALARMS:.0f}"
    )
    if chosen.misses:
        for line, count in Counter(found.shown).most_common(40):
            print(f"{count:5}  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
