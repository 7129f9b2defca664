"""Groups whose people a command tells, such as a rota's: what it answered last, and for how long that counts. Pure.

Rules:
- the approvers' side runs the command, and writes down what it answered; the agent's side reads that, and runs nothing;
- an answer is the names of people in approvers.yaml, one a line, at least one; an answer with anything else in it is none;
- an answer counts for twice as long as the group says how often to ask; after that nobody is in the group;
- an answer of another command, or from the future, counts for nothing.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import Field

from agentguard.model.canonical import canonical_json
from agentguard.model.durations import Duration, seconds_of
from agentguard.model.record import Record

AHEAD_MS = 60_000
"""How far the clock of who asked may be ahead."""

_PEOPLE_MAX = 1_000
_Word = Annotated[str, Field(min_length=1, max_length=1_000)]


class NoAnswer(Exception):
    """What a command told is no answer. The message says why, and holds nothing of it."""


class Rota(Record):
    """A group from a command: the program and its arguments, and how often it is asked."""

    command: Annotated[tuple[_Word, ...], Field(min_length=1, max_length=50)]
    every: Duration = "5m"

    @property
    def every_ms(self) -> int:
        """How often it is asked."""
        return seconds_of(self.every) * 1000

    def digest(self) -> str:
        """SHA-256 of the command, in hex: an answer says which command gave it."""
        return hashlib.sha256(canonical_json(list(self.command)).encode()).hexdigest()


class Answer(Record):
    """Who a command said is in its group, and when it was asked (milliseconds since 1970)."""

    command: str
    people: tuple[str, ...]
    asked_ms: int


class Answers(Record):
    """The last answers by group, as they lie beside approvers.yaml. `signature`: of `signed_text()`, where agents want one."""

    groups: dict[str, Answer] = {}
    signature: str = ""

    def signed_text(self) -> bytes:
        """What the signature covers."""
        return f"agentguard groups 1\n{canonical_json(self.model_dump(mode='json')['groups'])}".encode()


def on_duty(rota: Rota, answer: Answer | None, now_ms: int) -> tuple[str, ...]:
    """Who is in the group now; nobody where no answer counts."""
    return (
        answer.people if answer is not None and answer.command == rota.digest() and counts(rota, answer, now_ms) else ()
    )


def counts(rota: Rota, answer: Answer, now_ms: int) -> bool:
    """Whether an answer is fresh."""
    return -AHEAD_MS <= now_ms - answer.asked_ms < 2 * rota.every_ms


def is_due(rota: Rota, answer: Answer | None, now_ms: int) -> bool:
    """Whether the command is to be asked again."""
    if answer is None or answer.command != rota.digest():
        return True
    return not -AHEAD_MS <= now_ms - answer.asked_ms < rota.every_ms


def read_answer(output: bytes, known: frozenset[str]) -> tuple[str, ...]:
    """The people that a command's output names, each once. Raises NoAnswer."""
    try:
        lines = output.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise NoAnswer("it is no UTF-8 text") from None
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise NoAnswer("it names nobody")
    if len(names) > _PEOPLE_MAX:
        raise NoAnswer(f"it names over {_PEOPLE_MAX} people")
    strangers = sum(name not in known for name in names)
    if strangers:
        raise NoAnswer(f"{strangers} of its {len(names)} lines are no names of people in approvers.yaml")
    return tuple(dict.fromkeys(names))
