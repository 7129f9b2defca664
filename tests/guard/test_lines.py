"""The two records that every call writes, as JSON that is kept in part: byte for byte what the records themselves give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.errors import GuardUnavailable
from agentguard.guard.lines import KEPT, Lines
from agentguard.model.calls import Principal
from agentguard.model.events import Ended, Judged, Settled
from agentguard.model.problems import Place
from agentguard.model.verdicts import Clause, Effect, Need, Risk, Said, Verdict

LINES = Lines()
TEXT = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["%b", "100%", "%%s", '"}', "\\u0000", "\u2028", "\x1b[31m", "\u0000"]
)
NAMES = st.lists(TEXT, max_size=3).map(tuple)
COUNTS = st.dictionaries(TEXT, st.integers(0, 2**40), max_size=3)
PRINCIPALS = st.builds(Principal, tenant=TEXT, agent=TEXT, user=TEXT | st.none(), session=TEXT, run=TEXT)
EFFECTS = st.sampled_from(Effect)
RISKS = st.sampled_from(Risk)
PLACES = st.builds(Place, file=TEXT, line=st.integers(1, 99), column=st.integers(1, 99))
CLAUSES = st.builds(
    Clause, kind=st.sampled_from(["tool", "rule", "limit"]), id=TEXT, effect=EFFECTS, error=TEXT, place=PLACES
)
NEEDS = st.builds(Need, name=TEXT, approvers=NAMES, deadline_seconds=st.integers(1, 99))
SAID = {
    "risk": RISKS,
    "effect": EFFECTS,
    "clauses": st.lists(CLAUSES, max_size=2).map(tuple),
    "needs": st.lists(NEEDS, max_size=2).map(tuple),
}
VERDICTS = st.builds(
    Verdict, tool=TEXT, labels=NAMES, policy_version=TEXT, shadow=st.none() | st.builds(Said, **SAID), **SAID
)
ANN = Principal(tenant="acme", agent="support", user="ann@acme.example", session="thread-1")
VERDICT = Verdict(risk=Risk.LOW, effect=Effect.ALLOW, clauses=(), tool="refund", policy_version="sha256:0")


def judged_line(lines: Lines, principal: Principal, verdict: Verdict, arguments: str = "{}") -> bytes:
    """The line of a verdict on a plain call."""
    return lines.judged(
        verdict, principal, None, arguments=arguments, snapshot_digest="", entities={}, revealed={}, kept=""
    )


def judged_record(principal: Principal, verdict: Verdict) -> bytes:
    """The same as the record itself gives it."""
    record = Judged.of(
        verdict, principal=principal, call_id=None, arguments="{}", snapshot_digest="", entities={}, revealed={}
    )
    return record.model_dump_json().encode()


@given(
    verdict=VERDICTS,
    principal=PRINCIPALS,
    call_id=TEXT | st.none(),
    arguments=TEXT,
    digest=TEXT,
    entities=COUNTS,
    revealed=st.dictionaries(TEXT, NAMES, max_size=2),
    kept=TEXT,
)
def test_a_verdicts_line_is_the_records_own_json(
    verdict: Verdict,
    principal: Principal,
    call_id: str | None,
    arguments: str,
    digest: str,
    entities: dict[str, int],
    revealed: dict[str, tuple[str, ...]],
    kept: str,
) -> None:
    """Whatever stands in it, at the first call and at the next."""
    record = Judged.of(
        verdict,
        principal=principal,
        call_id=call_id,
        arguments=arguments,
        snapshot_digest=digest,
        entities=entities,
        revealed=revealed,
        kept=kept,
    )
    lines = [
        LINES.judged(
            verdict,
            principal,
            call_id,
            arguments=arguments,
            snapshot_digest=digest,
            entities=entities,
            revealed=revealed,
            kept=kept,
        )
        for _ in range(2)
    ]
    assert lines == [record.model_dump_json().encode()] * 2


@given(
    principal=PRINCIPALS,
    version=TEXT,
    call_id=TEXT | st.none(),
    tool=TEXT,
    ended=st.sampled_from(Ended),
    request=TEXT | st.none(),
    digest=TEXT,
    size=st.integers(0, 2**40),
    entities=COUNTS,
    labels=NAMES,
    over=NAMES,
    noted=NAMES,
    duration_ms=st.integers(0, 2**40),
)
def test_the_line_of_an_end_is_the_records_own_json(
    principal: Principal,
    version: str,
    call_id: str | None,
    tool: str,
    ended: Ended,
    request: str | None,
    digest: str,
    size: int,
    entities: dict[str, int],
    labels: tuple[str, ...],
    over: tuple[str, ...],
    noted: tuple[str, ...],
    duration_ms: int,
) -> None:
    """Whatever stands in it, at the first call and at the next."""
    record = Settled(
        principal=principal,
        policy_version=version,
        call_id=call_id,
        tool=tool,
        outcome=ended,
        request=request,
        result_digest=digest,
        result_bytes=size,
        entities=entities,
        labels_added=labels,
        over=over,
        over_in_shadow=noted,
        duration_ms=duration_ms,
    )
    lines = [
        LINES.settled(
            principal,
            version,
            call_id,
            tool,
            ended,
            request=request,
            result_digest=digest,
            result_bytes=size,
            entities=entities,
            labels=labels,
            over=over,
            over_in_shadow=noted,
            duration_ms=duration_ms,
        )
        for _ in range(2)
    ]
    assert lines == [record.model_dump_json().encode()] * 2


def test_what_has_no_json_form_gives_no_line() -> None:
    """A lone surrogate can't be written: the call does not run, and the fault names the record alone."""
    with pytest.raises(GuardUnavailable, match=r"journal.*a record \(Judged\) has no JSON form"):
        judged_line(LINES, ANN, VERDICT, arguments="\ud800")


def test_two_that_are_equal_but_not_the_same_are_written_as_themselves() -> None:
    """What is kept of one object is never given for another, however the memory of the first is used again."""
    lines = Lines()
    for number in range(2 * KEPT + 3):
        principal = ANN.model_copy(update={"session": f"thread-{number}"})
        verdict = VERDICT.model_copy(update={"tool": f"tool-{number}"})
        assert judged_line(lines, principal, verdict) == judged_record(principal, verdict)


def test_what_is_kept_is_bounded() -> None:
    """Names are the model's to choose: however many it calls, only the last are held."""
    lines = Lines()
    for number in range(2 * KEPT + 3):
        tool = f"tool-{number}"
        judged_line(lines, ANN.model_copy(update={"session": tool}), VERDICT.model_copy(update={"tool": tool}))
        lines.settled(
            ANN, "sha256:0", None, tool, Ended.DONE, request=None, result_digest="", result_bytes=0, entities={},
            labels=(), over=(), over_in_shadow=(), duration_ms=0,
        )  # fmt: skip
    assert max(len(lines._principals), len(lines._verdicts), len(lines._ends)) <= KEPT
