"""A vote counts for exactly what its person saw, and only with a signature that may speak for them."""

from __future__ import annotations

from typing import Any

import pytest

from agentguard.approval import check_vote, recount
from agentguard.approval.signing import COMMENT_MAX
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, State
from tests.approval.people import KEYS, ROSTER, a_principal, a_request, a_vote


def refusal(vote: Any, request: Any) -> str:
    """The code with which a vote is refused."""
    with pytest.raises(DecisionRefused) as refused:
        check_vote(vote, request, ROSTER)
    return refused.value.code


@pytest.mark.parametrize(
    ("person", "signer"),
    [
        pytest.param("ann", "ann", id="own key"),
        pytest.param("ann", "inbox", id="a server that authenticated them"),
        pytest.param("dan", "inbox", id="who has no key of their own"),
    ],
)
def test_a_genuine_vote_passes(person: str, signer: str) -> None:
    """The person's own key, or a signer's that speaks for everyone."""
    request = a_request()
    check_vote(a_vote(request, person, signer=signer), request, ROSTER)


@pytest.mark.parametrize(
    ("person", "signer", "key", "code"),
    [
        pytest.param("ann", "ann", "bob", "bad_signature", id="another person's key"),
        pytest.param("ann", "ann", "inbox", "bad_signature", id="the server's key under the person's name"),
        pytest.param("ann", "inbox", "ann", "bad_signature", id="the person's key under the server's name"),
        pytest.param("ann", "bob", "bob", "unknown_signer", id="a person who speaks for another"),
        pytest.param("ann", "stranger", "stranger", "unknown_signer", id="a server nobody listed"),
        pytest.param("dan", "dan", "stranger", "no_key", id="a person without a key"),
        pytest.param("zoe", "zoe", "stranger", "no_key", id="a person nobody listed"),
    ],
)
def test_t14_a_signature_that_may_not_speak_for_the_person_is_refused(
    person: str, signer: str, key: str, code: str
) -> None:
    """Who signs is looked up in the roster, and only that key is tried."""
    request = a_request()
    assert refusal(a_vote(request, person, signer=signer, key=KEYS[key]), request) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"id": "another"}, "other_request", id="request"),
        pytest.param({"revision": 2}, "other_revision", id="revision"),
        pytest.param({"digest": "0" * 64}, "other_call", id="call"),
        pytest.param({"principal": a_principal(tenant="other")}, "other_tenant", id="tenant"),
        pytest.param({"card": a_request().card.model_copy(update={"arguments": "{}"})}, "other_card", id="card"),
        pytest.param({"deadline_ms": 2_000}, "late", id="deadline"),
    ],
)
def test_t2_a_vote_counts_for_nothing_else(change: dict[str, Any], code: str) -> None:
    """A genuine vote is refused on another request, revision, call, tenant or card, and after the deadline."""
    # given
    request = a_request()
    vote = a_vote(request, "ann")

    # when / then
    assert refusal(vote, request.model_copy(update=change)) == code


@pytest.mark.parametrize(
    "change",
    [
        {"approvals": ("board",)},
        {"person": "bob", "signer": "ann"},
        {"groups": ("security",)},
        {"decision": Decision.APPROVE},
        {"comment": "changed"},
        {"time_ms": 2_001},
        {"signature": ""},
        {"signature": "AAAA"},
        {"signature": "é"},
    ],
    ids="-".join,
)
def test_t32_every_field_of_a_vote_is_signed(change: dict[str, Any]) -> None:
    """A vote of which anything was changed by hand is refused."""
    # given
    request = a_request()
    vote = a_vote(request, "ann", Decision.REJECT, comment="not today").model_copy(update=change)

    # when / then
    assert refusal(vote, request) in ("bad_signature", "unknown_signer")


def test_t32_one_forged_vote_spoils_the_count() -> None:
    """Genuine votes beside a forged one give no approval: somebody writes where nobody should."""
    # given
    request = a_request()
    votes = [a_vote(request, "ann"), a_vote(request, "bob", key=KEYS["stranger"])]

    # when / then
    with pytest.raises(DecisionRefused, match="does not verify"):
        recount(request, votes, ROSTER)


def test_genuine_votes_are_counted() -> None:
    """Checked, then tallied for whom the request was made."""
    request = a_request()
    assert recount(request, [a_vote(request, "ann")], ROSTER).state is State.APPROVED
    assert recount(request, [a_vote(request, "eve")], ROSTER).state is State.PENDING


@pytest.mark.parametrize(
    "comment",
    [
        pytest.param("x" * (COMMENT_MAX + 1), id="too long"),
        pytest.param("\x1b[2Jcleared", id="ansi"),
        pytest.param("a\rb", id="carriage return"),
        pytest.param("a\u202eb", id="bidi"),
        pytest.param("a\u200bb", id="zero width"),
        pytest.param("a\U000e0041b", id="tag"),
        pytest.param("a\ud800b", id="surrogate"),
        pytest.param("a\x00b", id="nul"),
    ],
)
def test_a_comment_that_hides_or_steers_is_refused(comment: str) -> None:
    """Comments are plain text of at most 2,000 characters; the error repeats none of it."""
    with pytest.raises(DecisionRefused) as refused:
        a_vote(a_request(), "ann", comment=comment)
    assert refused.value.code == "bad_comment"
    assert comment not in str(refused.value)


def test_a_plain_comment_is_kept() -> None:
    """Any language, and lines."""
    assert a_vote(a_request(), "ann", comment="Zażółć\n好").comment == "Zażółć\n好"
