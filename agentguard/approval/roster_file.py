"""Reading approvers.yaml, strictly: every fault is a problem with its place, and nothing loads beside one.

Rules:
- unknown keys, wrong types and keys that stand twice are errors, and so is a list of people that is empty;
- no two people, and no person and signer, share a name, an e-mail, a Slack id, a subject, an alias or a key, nor one of these for another;
- a key is an Ed25519 public key on the curve and of full order, or the roster does not load;
- a group names people who are listed; one that is empty is an error;
- a group whose members a command gives is nobody else's: no person lists it; who it is comes with the last answers (see `rota`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from agentguard.approval.public_keys import is_public_key
from agentguard.approval.roster import Agent, Found, Path, Person, Roster, Signer, Users, plain
from agentguard.approval.rota import Answers, Rota, on_duty
from agentguard.errors import ConfigurationError, PolicyError
from agentguard.model.marked_yaml import Marked, parse, read_yaml
from agentguard.model.problems import Problem
from agentguard.model.record import Record
from agentguard.model.verdicts import CONFIRM

_OF_ONE = ("aliases", "subject")
"""Ways of naming a person that nobody else looks at."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_NAME_RULE = "a name is lower-case letters, digits, '.', '_' and '-', at most 64, such as ann or data-stewards"
_KEY_RULE = "write the public key that `agentguard init` put into approvers.yaml: ed25519: and 44 characters of base64"


def check_name(name: str) -> None:
    """Raise ConfigurationError for what can't be the name of a person, a group or a signer."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} is no name; {_NAME_RULE}")


def check_email(email: str) -> None:
    """Raise ConfigurationError for what can't be the address of a person."""
    if not _EMAIL.fullmatch(email):
        raise ConfigurationError(f"{email!r} is no e-mail address; write such as ann@acme.example")


def _listed_or_told(value: Any) -> str:
    return "told" if isinstance(value, (dict, Rota)) else "listed"


Members = Annotated[
    Annotated[tuple[str, ...], Tag("listed")] | Annotated[Rota, Tag("told")], Discriminator(_listed_or_told)
]
"""Who is in a group: their names, or the command that tells them."""


class RosterFile(Record):
    """The form of approvers.yaml."""

    people: dict[str, Person]
    groups: dict[str, Members] = Field(default_factory=dict)
    signers: dict[str, Signer] = Field(default_factory=dict)
    agents: dict[str, Agent] = Field(default_factory=dict)
    users: Users = "anyone"


def read_roster(text: str, file: str, answers: Answers | None = None, *, now_ms: int = 0) -> Roster:
    """The roster in an approvers.yaml. `answers`: what the commands of groups told last. Raises PolicyError with all problems."""
    marked = read_yaml(text, file)
    read = parse(RosterFile, marked)
    _refuse(marked, [*_check_names(read), *_check_people(read), *_check_groups(read), *_check_keys(read)])
    known = {} if answers is None else answers.groups
    rotas = {name: group for name, group in read.groups.items() if isinstance(group, Rota)}
    told = {name: on_duty(rota, known.get(name), now_ms) for name, rota in rotas.items()}
    return Roster(
        people=read.people,
        groups={**_listed(read), **told},
        signers=read.signers,
        agents=read.agents,
        users=read.users,
        rotas=rotas,
    )


def _listed(read: RosterFile) -> dict[str, tuple[str, ...]]:
    return {name: group for name, group in read.groups.items() if not isinstance(group, Rota)}


def _refuse(marked: Marked, found: Iterable[Found]) -> None:
    problems = [Problem(place=marked.place(path), what=what, instead=instead) for path, what, instead in found]
    if problems:
        raise PolicyError(problems)


def _check_names(read: RosterFile) -> Iterator[Found]:
    for section in ("people", "groups", "signers"):
        for name in getattr(read, section):
            if not _NAME.fullmatch(name):
                yield (section, name), f"{name!r} is no name", _NAME_RULE
    for name, person in read.people.items():
        for index, group in enumerate(person.groups):
            if not _NAME.fullmatch(group):
                yield ("people", name, "groups", index), f"{group!r} is no name", _NAME_RULE
    if not read.people:
        yield (
            ("people",),
            "nobody is listed, so nobody could approve anything",
            "run `agentguard init`, or list a person",
        )
    if CONFIRM in read.people or CONFIRM in read.signers:
        yield ("people", CONFIRM), f"{CONFIRM!r} is a reserved word", "choose another name"


def _check_people(read: RosterFile) -> Iterator[Found]:
    mails: dict[str, str] = {}
    slacks: dict[str, str] = {}
    for name, person in read.people.items():
        if not _EMAIL.fullmatch(person.email):
            yield (
                ("people", name, "email"),
                f"the e-mail of {name} is not an address",
                "write one such as ann@acme.example",
            )
        other = mails.setdefault(plain(person.email), name)
        if other != name:
            yield (
                ("people", name, "email"),
                f"{name} and {other} have the same e-mail",
                "one human is one person: merge them",
            )
        if person.slack is not None and slacks.setdefault(person.slack, name) != name:
            other = slacks[person.slack]
            yield (
                ("people", name, "slack"),
                f"{name} and {other} have the same Slack id",
                "one human is one person: merge them",
            )
    yield from _check_aliases(read)


def _check_aliases(read: RosterFile) -> Iterator[Found]:
    """One human is one person: no way of naming one names another too."""
    owners = {plain(name): (name, "name") for name in read.people}
    for name, person in read.people.items():
        ways = [("email", person.email), *((("slack", person.slack),) if person.slack else ())]
        ways += [("subject", person.subject)] if person.subject is not None else []
        ways += [("aliases", alias) for alias in person.aliases]
        for key, way in ways:
            other, kind = owners.setdefault(plain(way), (name, key))
            if other != name and (key != kind or key in _OF_ONE):
                yield (
                    ("people", name, key),
                    f"{name} and {other} go by the same name",
                    "one human is one person: merge them",
                )
            if not plain(way):
                yield ("people", name, key), f"a name of {name} is empty", "leave it out"
    for agent, entry in read.agents.items():
        for index, name in enumerate(entry.minted_by):
            if name not in read.people:
                instead = f"people: {', '.join(sorted(read.people)) or 'none'}"
                yield ("agents", agent, "minted_by", index), f"no person {name!r} in approvers.yaml", instead
        if not entry.minted_by:
            yield ("agents", agent, "minted_by"), "nobody is named", "name who made the agent's credentials"


def _check_groups(read: RosterFile) -> Iterator[Found]:
    for name, person in read.people.items():
        for index, group in enumerate(person.groups):
            if isinstance(read.groups.get(group), Rota):
                what = f"who is in {group!r} is for its command to tell"
                yield ("people", name, "groups", index), what, "leave it out here"
    for group, names in _listed(read).items():
        if not names:
            yield ("groups", group), f"group {group!r} is empty", "list its people, or leave the group out"
        for index, name in enumerate(names):
            if name not in read.people:
                instead = f"people: {', '.join(sorted(read.people)) or 'none'}"
                yield ("groups", group, index), f"no person {name!r} in approvers.yaml", instead


def _check_keys(read: RosterFile) -> Iterator[Found]:
    owners: dict[str, str] = {}
    for path, owner, key in _keys(read):
        if not is_public_key(key):
            yield path, f"the key of {owner} is not an Ed25519 public key", _KEY_RULE
        elif owners.setdefault(key, owner) != owner:
            yield (
                path,
                f"{owner} and {owners[key]} have the same key",
                "each has their own: `agentguard init` makes one",
            )
    for path, owner, several in _key_lists(read):
        if len(set(several)) < len(several):
            yield path, f"a key of {owner} stands there twice", "write each key once"
    for name in read.signers:
        if name in read.people:
            yield ("signers", name), f"{name!r} is a person and a signer", "give the server a name of its own"


def _keys(read: RosterFile) -> Iterator[tuple[Path, str, str]]:
    for path, owner, several in _key_lists(read):
        for key in several:
            yield path, owner, key


def _key_lists(read: RosterFile) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    for name, person in read.people.items():
        yield ("people", name, "key"), name, person.keys
    for name, signer in read.signers.items():
        yield ("signers", name, "key"), f"signer {name}", signer.keys
