"""Questions that users are asked in their agent's own client: how many, and for how long, by the clock alone."""

from __future__ import annotations

import pytest

from agentguard.errors import AskedTooMuch
from agentguard.guard.questions import Question, Questions
from agentguard.model.facts import Facts
from agentguard.model.verdicts import CONFIRM, Effect, Need, Risk, Verdict
from agentguard.policy.approvals_section import AskingSection

MINUTE = 60_000
VERDICT = Verdict(
    effect=Effect.ASK,
    risk=Risk.HIGH,
    clauses=(),
    needs=(Need(name=CONFIRM, deadline_seconds=600),),
    tool="echo",
    policy_version="v",
)


def ask(questions: Questions, now_ms: int, **terms: object) -> Question:
    """One more question."""
    return questions.ask("d", VERDICT, Facts(), now_ms=now_ms, terms=AskingSection.model_validate(terms))


def refused(questions: Questions, now_ms: int, **terms: object) -> AskedTooMuch:
    """Why there is not one more."""
    with pytest.raises(AskedTooMuch) as why:
        ask(questions, now_ms, **terms)
    return why.value


def test_t19_only_so_many_are_open_at_once() -> None:
    """One that is answered, or lapses, makes room."""
    questions = Questions()
    first = ask(questions, 0, pending=2)
    ask(questions, 1, pending=2)

    assert refused(questions, 2, pending=2).code == "crowded"
    assert questions.take(first.id, now_ms=3) is not None
    ask(questions, 4, pending=2)
    assert refused(questions, 5, pending=2).code == "crowded"
    ask(questions, 10 * MINUTE + 4, pending=2)


def test_t19_after_too_many_in_a_minute_comes_a_pause() -> None:
    """It lasts as long as policy says, also once the minute is over, and is then over."""
    questions, terms = Questions(), {"per_minute": 2, "pause": "10m"}
    ask(questions, 0, **terms)
    ask(questions, 1, **terms)

    assert refused(questions, 2, **terms).until_ms == 10 * MINUTE + 2
    assert refused(questions, 5 * MINUTE, **terms).code == "paused"
    ask(questions, 10 * MINUTE + 2, **terms)


def test_t10_a_question_is_taken_once_and_in_its_time() -> None:
    """Its time is the deadline of what must be confirmed."""
    questions = Questions()
    asked, late = ask(questions, 0), ask(questions, 0)

    assert questions.take(asked.id, now_ms=10 * MINUTE - 1) is not None
    assert questions.take(asked.id, now_ms=10 * MINUTE - 1) is None
    assert questions.take(late.id, now_ms=10 * MINUTE) is None


def test_t19_a_no_is_the_answer_until_its_time() -> None:
    """Of that call alone."""
    questions = Questions()
    questions.refuse("d", until_ms=1000)

    assert questions.is_refused("d", now_ms=999)
    assert not questions.is_refused("other", now_ms=999)
    assert not questions.is_refused("d", now_ms=1000)
