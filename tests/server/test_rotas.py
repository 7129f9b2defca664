"""A server that asks who is on duty while it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentguard.approval import Roster
from agentguard.approval.rota import Rota
from agentguard.config.files import read_roster
from agentguard.config.rotas import ANSWERS
from agentguard.server.rotas import Rotas

pytestmark = pytest.mark.anyio


@dataclass
class People:
    """An approvers.yaml whose rota is a program."""

    folder: Path
    asked: list[Rota] = field(default_factory=list)

    def says(self, word: str) -> None:
        """What the program prints from now on."""
        (self.folder / "approvers.yaml").write_text(
            "people:\n  ann: {email: ann@acme.example}\n  bob: {email: bob@acme.example}\n"
            f"groups:\n  on-call: {{command: [echo, {word}], every: 1s}}\n"
        )

    def roster(self) -> Roster:
        """The people as the files say now."""
        return read_roster(self.folder)


async def test_a_server_asks_and_says_once_what_goes_wrong(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its file is what the agent's side reads; a failing command is in the log once, until it is right again."""
    people = People(tmp_path)
    rotas = Rotas(folder=tmp_path, roster=people.roster, interval_seconds=0.0)
    people.says("ann")
    await rotas.ask()
    on_call = set(people.roster().members("group:on-call"))
    people.says("nobody-we-know")
    for _ in range(3):
        await rotas.ask()
    wrong = [record.getMessage() for record in caplog.records if "on-call" in record.getMessage()]
    people.says("bob")
    await rotas.ask()

    assert on_call == {"ann"}
    assert len(wrong) == 1
    assert "nobody-we-know" not in wrong[0]
    assert set(people.roster().members("group:on-call")) == {"bob"}


async def test_a_folder_that_cannot_be_written_is_said_and_the_server_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The answers' place is taken by a folder: nothing is raised."""
    people = People(tmp_path)
    people.says("ann")
    (tmp_path / ANSWERS).mkdir()
    started = time.monotonic()
    await Rotas(folder=tmp_path, roster=people.roster, interval_seconds=0.0).ask()

    assert "can't be kept" in caplog.text
    assert time.monotonic() - started < 10
