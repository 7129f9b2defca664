"""Who may decide: the people, groups and signers of approvers.yaml.

Rules:
- a person is one human: name, e-mail and key are each nobody else's, compared the way people write them (NFKC, any case);
- a group is the people who list it and those that `groups:` lists for it; nobody else, and never by pattern;
- a group from a command is the people of its last answer while that counts (see `rota`), so its size is not known when a policy loads;
- a signer is a server that authenticates people and signs for them; its name and its key are no person's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, Protocol

from pydantic import Discriminator, Field, Tag

from agentguard.approval.matching import stands_for
from agentguard.approval.rota import Rota
from agentguard.errors import DecisionRefused
from agentguard.model.record import Record

Path = tuple[str | int, ...]
Found = tuple[Path, str, str]
"""Something wrong: where in the document, what, what to write instead."""


def _one_or_several(value: Any) -> str:
    return "several" if isinstance(value, (list, tuple)) else "one"


PublicKeys = Annotated[
    Annotated[str, Tag("one")] | Annotated[tuple[str, ...], Field(min_length=1), Tag("several")],
    Discriminator(_one_or_several),
]
"""A public key, or several while one takes another's place: each of them verifies."""


class Person(Record):
    """One human: how messages reach them, what they belong to, and the public keys that their votes verify with.

    `subject` is what the login provider calls them (the claim `sub`); without one they log in by their verified e-mail address.
    `aliases`: whatever else they are called where sessions or servers name a user.
    """

    email: str
    aliases: tuple[str, ...] = ()
    slack: str | None = None
    subject: str | None = None
    groups: tuple[str, ...] = ()
    key: PublicKeys | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key of theirs that counts today."""
        return _keys(self.key)


class Signer(Record):
    """A server's public keys, and for whom its signature counts."""

    key: PublicKeys
    speaks_for: Literal["everyone"]

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key of the server's that counts today."""
        return _keys(self.key)


def _keys(written: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if written is None else (written,) if isinstance(written, str) else written


class LadderTerms(Protocol):
    """What is read of one step of an approval's `escalate:`."""

    @property
    def to(self) -> Sequence[str]:
        """`group:NAME` or `person:NAME`."""


class ApprovalTerms(Protocol):
    """What is read of one entry of a policy's `approvals:`."""

    @property
    def approvers(self) -> Sequence[str]:
        """`group:NAME` or `person:NAME`."""

    @property
    def escalate(self) -> Sequence[LadderTerms]:
        """Who may decide too, after a while."""

    @property
    def quorum(self) -> int:
        """How many distinct people."""

    @property
    def reject_quorum(self) -> int:
        """How many distinct people end it by rejecting."""

    @property
    def from_each(self) -> bool:
        """Whether the quorum is wanted of each approver entry."""


class Document(Protocol):
    """What is read of a policy document."""

    @property
    def approvals(self) -> Mapping[str, ApprovalTerms]:
        """The approvals by name."""


class Agent(Record):
    """Whose credentials an agent acts with: who made them approves none of its calls."""

    minted_by: tuple[str, ...]


Users = Literal["anyone", "listed"]
"""For whom agents may ask: for anybody, or only for people who are listed, so that it can be told who must not approve."""


@dataclass(frozen=True, kw_only=True)
class Roster:
    """Today's people. Read it with `read_roster` (approval/roster_file.py), which checks it."""

    people: Mapping[str, Person]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    signers: Mapping[str, Signer] = field(default_factory=dict)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    rotas: Mapping[str, Rota] = field(default_factory=dict)
    users: Users = "anyone"

    def find(self, who: str) -> str | None:
        """The name of the person with this name, address, Slack id, subject or alias, as people write them; None for nobody here."""
        return self._names.get(plain(who))

    def person(self, who: str) -> str:
        """The same, for somebody who wants to decide. Raises DecisionRefused ("unknown_person")."""
        name = self.find(who)
        if name is None:
            told = f"{who[:80]!r} is not in approvers.yaml; only people listed there decide"
            raise DecisionRefused("unknown_person", told)
        return name

    def members(self, approver: str) -> frozenset[str]:
        """The names of whom `group:NAME`, `person:NAME` or `user:NAME-OR-EMAIL` means today; empty where that is nobody."""
        kind, _, name = approver.partition(":")
        if kind == "group":
            return self._members.get(name, frozenset())
        if kind in ("person", "user"):
            found = self.find(name)
            return frozenset() if found is None else frozenset({found})
        return frozenset()

    def entitled(self, approvers: Iterable[str]) -> frozenset[str]:
        """The names of everybody whom any of these means."""
        return frozenset().union(*map(self.members, approvers))

    def varies(self, approvers: Iterable[str]) -> bool:
        """Whether any of these is a group from a command, whose size another answer changes."""
        return any(
            approver.removeprefix("group:") in self.rotas for approver in approvers if approver.startswith("group:")
        )

    def groups_of(self, person: str) -> tuple[str, ...]:
        """The groups that a person is in today, sorted."""
        return tuple(sorted(name for name, members in self._members.items() if person in members))

    def checks(self) -> tuple[Callable[[Document], Iterable[Found]], ...]:
        """Checks of a policy document against these people, for the policy's loader."""
        return (self._check_approvals,)

    def _check_approvals(self, document: Document) -> Iterator[Found]:
        for name, terms in document.approvals.items():
            found = list(self._check_approvers(("approvals", name), terms.approvers))
            yield from found or self._check_quorum(("approvals", name), terms)
            for index, step in enumerate(terms.escalate):
                for number, approver in enumerate(step.to):
                    if not self.members(approver) and not self.varies([approver]):
                        yield ("approvals", name, "escalate", index, "to", number), *self._unknown(approver)

    def _check_approvers(self, path: Path, approvers: Sequence[str]) -> Iterator[Found]:
        if not approvers:
            yield (
                (*path, "approvers"),
                "nobody could ever approve this",
                "name a group or a person, such as group:on-call",
            )
        for index, approver in enumerate(approvers):
            place = (*path, "approvers", index)
            if approver in approvers[:index]:
                yield place, f"{approver} stands here twice", "name each approver once"
            elif not self.members(approver) and not self.varies([approver]):
                yield place, *self._unknown(approver)

    def _check_quorum(self, path: Path, terms: ApprovalTerms) -> Iterator[Found]:
        if self.varies(terms.approvers):
            return
        distinct = len(self.entitled(terms.approvers))
        if terms.reject_quorum > distinct:
            what = f"{terms.reject_quorum} must reject, but there are only {distinct} distinct people, so nobody could"
            yield (*path, "reject_quorum"), what, f"write a reject_quorum of at most {distinct}"
        if terms.from_each:
            if stands_for([self.members(approver) for approver in terms.approvers], terms.quorum) is None:
                what = f"{terms.quorum} from each of {', '.join(terms.approvers)} takes more people than there are"
                yield (*path, "quorum"), what, "nobody stands for two groups: add people to them, or ask for fewer"
            return
        people = self.entitled(terms.approvers)
        if terms.quorum > len(people):
            what = f"a quorum of {terms.quorum}, but only {len(people)} distinct: {', '.join(sorted(people))}"
            yield (*path, "quorum"), what, f"write a quorum of at most {len(people)}, or name more approvers"

    def _unknown(self, approver: str) -> tuple[str, str]:
        kind, _, name = approver.partition(":")
        if kind == "group":
            what = f"group {name!r} has nobody in it" if name in self.groups else f"no group {name!r} in approvers.yaml"
            return what, f"groups with people in them: {', '.join(sorted(self._members)) or 'none'}"
        if kind in ("person", "user"):
            return f"no person {name!r} in approvers.yaml", f"people: {', '.join(sorted(self.people)) or 'none'}"
        return f"{approver!r} is neither a group nor a person", "write group:NAME or person:NAME"

    @cached_property
    def _names(self) -> dict[str, str]:
        by_mail = {plain(person.email): name for name, person in self.people.items()}
        by_subject = {plain(person.subject): name for name, person in self.people.items() if person.subject is not None}
        by_slack = {plain(person.slack): name for name, person in self.people.items() if person.slack is not None}
        by_alias = {plain(alias): name for name, person in self.people.items() for alias in person.aliases}
        return by_subject | by_alias | by_slack | by_mail | {name: name for name in self.people}

    @cached_property
    def _members(self) -> dict[str, frozenset[str]]:
        members: dict[str, set[str]] = {}
        for name, person in self.people.items():
            for group in person.groups:
                members.setdefault(group, set()).add(name)
        for group, names in self.groups.items():
            members.setdefault(group, set()).update(name for name in names if name in self.people)
        return {group: frozenset(names) for group, names in members.items() if names}


def plain(text: str) -> str:
    """A name or an address in the one form in which two spellings of it are equal."""
    return unicodedata.normalize("NFKC", text).strip().casefold()
