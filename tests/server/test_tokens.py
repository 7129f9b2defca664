"""Bearer tokens in their file."""

from __future__ import annotations

import hashlib
import json
import stat
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agentguard.approval import Person, Roster
from agentguard.errors import ConfigurationError, DecisionRefused
from agentguard.server.tokens import PREFIX, create, holder, read, revoke
from tests.approval.people import ROSTER


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where tokens go."""
    return tmp_path / "config" / "tokens.json"


def test_a_new_token_names_its_person_and_is_shown_once(file: Path) -> None:
    """The line is in the file; the token is not."""
    # when
    line, text = create(file, "ann", ROSTER, now_ms=1_000)

    # then
    assert read(file) == (line,)
    assert (line.person, line.created_ms, line.expires_ms) == ("ann", 1_000, None)
    assert text.startswith(PREFIX)
    assert len(text) >= 43 + len(PREFIX)
    assert text not in file.read_text()
    assert text.removeprefix(PREFIX) not in file.read_text()
    assert json.loads(file.read_text())["tokens"][0]["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_the_file_is_the_owners_alone(file: Path) -> None:
    """0600 in a folder of 0700."""
    create(file, "ann", ROSTER, now_ms=1_000)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_person_is_found_by_e_mail(file: Path) -> None:
    """The line has the name of approvers.yaml."""
    line, _ = create(file, "ANN@acme.example", ROSTER, now_ms=1_000)
    assert line.person == "ann"


def test_t14_nobody_outside_approvers_gets_a_token(file: Path) -> None:
    """The error lists the people."""
    with pytest.raises(ConfigurationError, match=r"not in approvers\.yaml; people there: ann, bob"):
        create(file, "mallory", ROSTER, now_ms=1_000)
    assert not file.exists()


def test_a_token_that_would_be_expired_is_not_made(file: Path) -> None:
    """A time in the past is a mistake."""
    with pytest.raises(ConfigurationError, match="expired"):
        create(file, "ann", ROSTER, now_ms=1_000, expires_ms=1_000)


def test_each_token_opens_for_its_person(file: Path) -> None:
    """Several people, several tokens of one person."""
    # given
    texts = [create(file, name, ROSTER, now_ms=1_000)[1] for name in ("ann", "bob", "ann")]

    # when
    found = [holder(read(file), text, now_ms=2_000) for text in texts]

    # then
    assert [token.person for token in found if token] == ["ann", "bob", "ann"]
    assert len({token.id for token in found if token}) == 3


@pytest.mark.parametrize(
    ("now_ms", "counts"),
    [(9_999, True), (10_000, False), (10_001, False)],
    ids=["before", "at its end", "after"],
)
def test_an_expired_token_counts_for_nothing(file: Path, now_ms: int, counts: bool) -> None:
    """It counts before its end, not at it."""
    _, text = create(file, "ann", ROSTER, now_ms=1_000, expires_ms=10_000)
    assert (holder(read(file), text, now_ms=now_ms) is not None) is counts


def test_t35_a_token_opens_nothing_for_another_human_of_the_name(file: Path) -> None:
    """In another approvers.yaml beside the same file, or once somebody else has the name; nor does a line that says of nobody."""
    line, _ = create(file, "ann", ROSTER, now_ms=1_000)
    people = {name: Person(email=email) for name, email in (("ann", "ann@other.example"), ("zoe", "ann@acme.example"))}
    spelt = {"ann": Person(email="Ann@ACME.example")}
    assert line.is_of(ROSTER)
    assert line.is_of(Roster(people=spelt, signers={}))
    assert not line.is_of(Roster(people=people, signers={}))
    assert not line.model_copy(update={"email": ""}).is_of(ROSTER)


def test_a_revoked_token_is_gone(file: Path) -> None:
    """Only that one."""
    # given
    line, text = create(file, "ann", ROSTER, now_ms=1_000)
    _, other = create(file, "ann", ROSTER, now_ms=1_000)

    # when
    revoked = revoke(file, line.id)

    # then
    assert revoked == line
    assert holder(read(file), text, now_ms=2_000) is None
    assert holder(read(file), other, now_ms=2_000) is not None


def test_an_unknown_id_cannot_be_revoked(file: Path) -> None:
    """The error says where ids are shown."""
    with pytest.raises(DecisionRefused, match="agentguard token list"):
        revoke(file, "00000000")


@pytest.mark.parametrize(
    "shown",
    ["", "agt_", "agt_" + "x" * 43, "x" * 1_000_000, "\ud800", "agt_\x00"],
    ids=["empty", "prefix", "unknown", "huge", "surrogate", "control"],
)
def test_t31_what_is_no_token_opens_nothing(file: Path, shown: str) -> None:
    """And breaks nothing."""
    create(file, "ann", ROSTER, now_ms=1_000)
    assert holder(read(file), shown, now_ms=2_000) is None


def test_t31_the_hash_of_a_token_is_no_token(file: Path) -> None:
    """Who reads the file holds nothing that opens."""
    line, _ = create(file, "ann", ROSTER, now_ms=1_000)
    assert holder(read(file), line.sha256, now_ms=2_000) is None


def test_t31_how_nearly_right_a_token_is_can_not_be_told_by_the_time(file: Path) -> None:
    """One that differs in its last character takes as long as one that differs in all: medians of rounds that take turns."""
    # given
    _, secret = create(file, "ann", ROSTER, now_ms=1_000)
    tokens = read(file)
    wrong = {"near": secret[:-1] + ("a" if secret[-1] != "a" else "b"), "far": "x" * len(secret)}
    took: dict[str, list[int]] = {"near": [], "far": []}

    # when
    for name, shown in [*wrong.items()] * 400:
        begun = time.perf_counter_ns()
        for _ in range(20):
            holder(tokens, shown, now_ms=2_000)
        took[name].append(time.perf_counter_ns() - begun)

    # then
    assert 0.7 < statistics.median(took["near"]) / statistics.median(took["far"]) < 1.4


def test_no_file_means_no_token(file: Path) -> None:
    """A first start."""
    assert read(file) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}x",
        '{"version":2,"tokens":[]}',
        '{"version":1,"tokens":[{"person":"ann"}]}',
        '{"version":1,"everyone":true}',
    ],
    ids=["empty", "not JSON", "another version", "a line without a hash", "an unknown key"],
)
def test_a_broken_file_is_an_error(file: Path, text: str) -> None:
    """Never an empty list of tokens, and never one that lets somebody in."""
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="not a file of tokens"):
        read(file)


def test_a_file_that_others_may_read_is_an_error(file: Path) -> None:
    """The message says what to do."""
    create(file, "ann", ROSTER, now_ms=1_000)
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read(file)


def test_tokens_made_at_the_same_time_are_all_kept(file: Path) -> None:
    """One writer at a time."""
    # given
    threads = [threading.Thread(target=create, args=(file, "ann", ROSTER), kwargs={"now_ms": 1}) for _ in range(16)]

    # when
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    # then
    assert len({token.id for token in read(file)}) == 16
    assert {path.name for path in file.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}


def test_tokens_need_none_of_the_packages_that_serving_needs() -> None:
    """`agentguard token` works without the extra."""
    code = "import sys; from agentguard.server import tokens, token_path; assert not {'fastapi', 'uvicorn'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
