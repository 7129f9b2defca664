"""The face of a request: what a person reads, in the order in which it is read, the same on every surface.

Rules:
- every text is a `Line` or a `Block`, so nothing in it steers or hides, whoever wrote the record that it was made from;
- what the guard computed comes before what the agent wrote, and the agent's words have a field of their own;
- it is whole: a surface with less room uses `cut`, and may offer Approve only after all of it was shown (`is_longer_than`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate

from agentguard.approval import Shown, Stored
from agentguard.approval.tally import Standing
from agentguard.cards.outcome import Ending, clock, ending_of, sentence_of
from agentguard.cards.spelling import Block, Line
from agentguard.model.approvals import Card, Decision, Request, State
from agentguard.model.canonical import DEPTH_MAX
from agentguard.model.record import Json, Record
from agentguard.model.verdicts import CONFIRM, Need, Risk

ODDITIES_SHOWN = 3
SHAPES = {Risk.LOW: "○", Risk.MEDIUM: "◇", Risk.HIGH: "▲", Risk.CRITICAL: "■"}
"""Risk has a shape beside its word, so that colour is never needed."""

_OPENS, _MARK = re.compile(r"\s*[\[{]"), re.compile(r"[\[\]{}]")
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


class Argument(Record):
    """One argument, whole and masked. `origins`: where its value stood before; `by_rule`: a rule or a limit read it."""

    name: Line
    value: Block
    origins: tuple[Line, ...] = ()
    by_rule: bool = False


class Change(Record):
    """An argument that an edit changed: its values before and now; empty where there was or is none."""

    name: Line
    before: Block
    now: Block


class Said(Record):
    """One person's vote, and whether it counts; `why` says why not."""

    person: Line
    decision: Decision
    comment: Block
    time_ms: int
    counts: bool
    why: Line = ""


class Face(Record):
    """A request as people see it, top to bottom. Times are on Redis's clock. `beside`: how many other calls its turn has."""

    id: Line
    card_digest: str
    state: State
    ending: Ending
    status: Line
    # what it is
    shape: str
    risk: Line
    title: Line
    tool: Line
    agent: Line
    user: Line | None
    session: Line
    turn: Line
    beside: int
    deployment: Line
    # why it is asked, and what is unusual
    reasons: tuple[Line, ...]
    oddities: tuple[Line, ...]
    more_oddities: tuple[Line, ...]
    undo: Line
    # what it would do
    arguments: tuple[Argument, ...]
    arguments_json: Block
    edited_by: Line
    changes: tuple[Change, ...]
    edit: Line
    # what was said: by the user, and (unchecked) by the agent
    asked: Block
    says: Block
    # who decides
    votes: tuple[Said, ...]
    standings: tuple[Line, ...]
    obstacles: tuple[Line, ...]
    opened_ms: int
    deadline_ms: int
    now_ms: int
    deadline: Line
    approve: Line
    grant: Line
    same_user: bool

    @property
    def is_open(self) -> bool:
        """Whether it can still be decided."""
        return self.state is State.PENDING

    @property
    def in_turn(self) -> str:
        """That it is not the only call of its turn; empty where it is."""
        return f"One of {self.beside + 1} calls in one turn" if self.beside else ""

    def is_longer_than(self, most: int) -> bool:
        """Whether a surface that shows `most` characters of each text hides some of it: read all, then approve."""
        changed = (text for change in self.changes for text in (change.before, change.now))
        texts = (*(argument.value for argument in self.arguments), *changed, self.asked, self.says)
        return any(len(text) > most for text in texts)


def face_of(shown: Shown) -> Face:
    """The face of a request as it stands."""
    stored, request, card = shown.stored, shown.stored.request, shown.stored.request.card
    return Face(
        id=request.id,
        card_digest=shown.card_digest,
        state=stored.state,
        ending=ending_of(stored, shown.word),
        status=sentence_of(stored, shown.word),
        shape=shape_of(card.risk),
        risk=card.risk,
        title=card.title,
        tool=card.tool,
        agent=card.agent,
        user=card.user,
        session=card.session,
        turn=request.turn,
        beside=len(shown.beside),
        deployment=card.deployment,
        reasons=card.reasons,
        oddities=card.oddities[:ODDITIES_SHOWN],
        more_oddities=card.oddities[ODDITIES_SHOWN:],
        undo=undo_of(card),
        arguments=arguments_of(card),
        arguments_json=_pretty(card),
        edited_by=stored.edit.person if stored.edit is not None and shown.earlier is not None else "",
        changes=tuple(_changes(shown.earlier.card, card)) if shown.earlier is not None else (),
        edit=_edit(stored),
        asked=card.asked,
        says=card.says,
        votes=_votes(shown),
        standings=tuple(map(_standing, request.needs, shown.tally.standings)),
        obstacles=shown.tally.obstacles,
        opened_ms=request.opened_ms,
        deadline_ms=request.deadline_ms,
        now_ms=stored.now_ms,
        deadline=_deadline(request, stored.now_ms),
        approve=_approve(stored),
        grant=_grant(card),
        same_user=request.assurance == "same-user",
    )


def shape_of(risk: str) -> str:
    """The shape of a risk; one that no guard writes has none."""
    return SHAPES[Risk(risk)] if risk in set(Risk) else "?"


def gravest(risks: Iterable[str]) -> str:
    """The highest of some risks; one that no guard writes is above all."""
    order = {risk.value: risk.rank for risk in Risk}
    return max(risks, key=lambda risk: order.get(risk, len(order)))


def _deadline(request: Request, now_ms: int) -> str:
    """Until when it can be decided, and who may decide too later on."""
    steps = sorted((step.after_seconds, step.to) for need in request.needs for step in need.escalate)
    later = ((request.opened_ms + seconds * 1000, ", ".join(to)) for seconds, to in steps)
    too = [f"from {clock(when)} {who} may decide too" for when, who in later if now_ms < when < request.deadline_ms]
    return "; ".join([f"until {clock(request.deadline_ms)}", "then the call is refused", *too])


def _grant(card: Card) -> str:
    """What may be granted along with an approval, word for word; empty where nothing is offered."""
    offer = card.grant
    if offer is None:
        return ""
    return f"may be granted along: at most {offer.uses} more within {offer.seconds} s: {offer.words(card.tool)}"


def undo_of(card: Card) -> str:
    """Whether the call can be undone, in one line."""
    if card.undo is None:
        return "Can't be undone"
    return f"Can be undone: {card.undo}" if card.undo else "Whether it can be undone is not known"


def arguments_of(card: Card) -> tuple[Argument, ...]:
    """The arguments, those that a rule read first. A record that the guard did not write may hold anything."""
    try:
        values = json.loads(card.arguments)
    except (ValueError, RecursionError):
        values = card.arguments
    if not isinstance(values, dict):
        return (Argument(name="(not readable)", value=card.arguments),)
    first = [name for name in card.read_by_rules if name in values]
    rest = [name for name in values if name not in card.read_by_rules]
    return tuple(
        Argument(
            name=name,
            value=_written(values[name]),
            origins=card.origins.get(name, ()),
            by_rule=name in card.read_by_rules,
        )
        for name in (*first, *rest)
    )


def _changes(earlier: Card, card: Card) -> Iterator[Change]:
    """The arguments that differ between two revisions."""
    before = {argument.name: argument.value for argument in arguments_of(earlier)}
    now = {argument.name: argument.value for argument in arguments_of(card)}
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield Change(name=name, before=before.get(name, ""), now=now.get(name, ""))


def _edit(stored: Stored) -> str:
    """What became of the last edit, where that isn't plain to see."""
    if stored.edit is None or stored.state is not State.PENDING:
        return ""
    if stored.edit_waits:
        return f"{stored.edit.person} changed arguments; the agent has not answered yet"
    return f"The edit of {stored.edit.person} was refused: {stored.edit_refused}" if stored.edit_refused else ""


def _written(value: Json) -> str:
    """A value for reading: text as it is, unless it would pass for a number, a boolean or nothing; all else as JSON."""
    if not isinstance(value, str):
        return json.dumps(value, indent=2, ensure_ascii=False)
    is_text = value.strip() and not _passes_for_json(value)
    return value if is_text else json.dumps(value, ensure_ascii=False)


def _passes_for_json(text: str) -> bool:
    """Whether a text would pass for another value.

    What nests deeply counts as such, unread: how deep Python can read hangs on where it is asked, and a card is the same everywhere.
    """
    if _OPENS.match(text) and max(accumulate(_STEP[mark] for mark in _MARK.findall(text))) > DEPTH_MAX:
        return True
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _pretty(card: Card) -> str:
    try:
        return json.dumps(json.loads(card.arguments), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return card.arguments


def _votes(shown: Shown) -> tuple[Said, ...]:
    why = {one.person: one.why for one in (*shown.tally.uncounted, *shown.unverified)}
    return tuple(
        Said(
            person=vote.person,
            decision=vote.decision,
            comment=vote.comment,
            time_ms=vote.time_ms,
            counts=vote.person not in why,
            why=why.get(vote.person, ""),
        )
        for vote in shown.stored.votes
    )


def _standing(need: Need, standing: Standing) -> str:
    """One need and how it stands: `stewards: 1 of 2 approved (ann); still 1 of group:stewards`."""
    if need.name == CONFIRM:
        return "the user's own confirmation" + (f": {standing.people[0]}" if standing.people else " is missing")
    wanted = need.quorum * len(need.approvers) if need.from_each else need.quorum
    people = f" ({', '.join(standing.people)})" if standing.people else ""
    missing = f"; still {standing.missing}" if standing.missing else ""
    return f"{need.name}: {len(standing.people)} of {wanted} approved{people}{missing}"


def _approve(stored: Stored) -> str:
    only_confirms = all(need.name == CONFIRM for need in stored.request.needs)
    return f"{'Confirm' if only_confirms else 'Approve'}: {stored.request.card.title}"
