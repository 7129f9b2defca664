"""Today's people: what changes in their files counts at once, and what breaks them lets nobody decide."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agentguard.config.files import SIGNATURE, read_roster, sign_roster
from agentguard.config.people import people_of
from agentguard.config.rotas import ANSWERS, ask_groups
from agentguard.errors import ConfigurationError
from agentguard.store.keys import SigningKey

ANN = "people:\n  ann: {email: ann@acme.example, groups: [on-call]}\n"
BOB = ANN.replace("ann", "bob")


def write(folder: Path, text: str) -> None:
    """Another approvers.yaml."""
    (folder / "approvers.yaml").write_text(text)


def test_a_change_counts_at_once_and_nothing_is_read_twice(tmp_path: Path) -> None:
    """The same people as long as the file is the same, also through its policy's own path."""
    write(tmp_path, ANN)
    (tmp_path / "policy.yaml").write_text("version: 1\n")
    people = people_of(tmp_path / "policy.yaml")
    first = people()
    same = people()
    write(tmp_path, BOB)

    assert same is first
    assert set(people().people) == {"bob"}


@pytest.mark.parametrize("broken", ["people: {", ""], ids=["no YAML", "nobody"])
def test_a_file_that_broke_lets_nobody_decide_until_it_is_right_again(tmp_path: Path, broken: str) -> None:
    """What was read before is not used on."""
    write(tmp_path, ANN)
    people = people_of(tmp_path)
    people()
    write(tmp_path, broken)
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            people()
    write(tmp_path, ANN)

    assert set(people().people) == {"ann"}


@pytest.mark.parametrize("how", ["unsigned", "another text"])
def test_t32_a_signature_that_goes_ends_what_it_let_in(tmp_path: Path, how: str) -> None:
    """Though approvers.yaml itself is as it was, or the signature is."""
    key = SigningKey.new()
    write(tmp_path, ANN)
    sign_roster(tmp_path, key)
    people = people_of(tmp_path, [key.public])
    before = set(people().people)
    if how == "unsigned":
        (tmp_path / SIGNATURE).unlink()
    else:
        write(tmp_path, BOB)

    assert before == {"ann"}
    with pytest.raises(ConfigurationError):
        people()


def test_an_answer_lapses_though_no_file_changes(tmp_path: Path) -> None:
    """Who is told by a command is looked up each time."""
    write(tmp_path, "people:\n  ann: {email: ann@acme.example}\ngroups: {on-call: {command: [echo, ann], every: 1s}}\n")
    people = people_of(tmp_path)
    now_ms = time.time_ns() // 1_000_000
    ask_groups(tmp_path, read_roster(tmp_path), now_ms=now_ms)
    on_call = set(people().members("group:on-call"))
    ask_groups(tmp_path, read_roster(tmp_path), now_ms=now_ms - 10_000)

    assert on_call == {"ann"}
    assert (tmp_path / ANSWERS).exists()
    assert set(people().members("group:on-call")) == set()
