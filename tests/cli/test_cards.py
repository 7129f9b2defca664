"""A request on the terminal is shown whole, whatever an agent puts into it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from agentguard.approval import Shown, Stored, Tally
from agentguard.cli.cards import print_card
from agentguard.masking import Masker
from agentguard.model.approvals import Card, Request, State
from agentguard.model.calls import Principal
from agentguard.model.canonical import canonical_json
from agentguard.model.facts import Facts
from agentguard.model.verdicts import Effect, Risk, Verdict

TAIL = "rm -rf TAIL"


@pytest.fixture(params=[40, 80, 200], ids=["narrow", "usual", "wide"])
def terminal(request: pytest.FixtureRequest) -> Console:
    """A terminal of this width, whose text can be read back."""
    return Console(width=request.param, record=True, highlight=False, soft_wrap=True, force_terminal=True)


def shown(**arguments: object) -> Shown:
    """A pending request with these arguments, as the guard would put them on the card."""
    verdict = Verdict(tool="shell", risk=Risk.HIGH, effect=Effect.ASK, clauses=(), policy_version="sha256:0")
    card = Card(
        title="Run a command",
        tool="shell",
        agent="agent",
        user="ann@acme.example",
        session="s",
        risk="high",
        reasons=("because (policy.yaml:1:1)",),
        arguments=canonical_json(Masker().for_people(arguments)),
    )
    asked = Request(
        id="r" * 32,
        principal=Principal(tenant="t", agent="agent", user="ann@acme.example", session="s"),
        call_id=None,
        tool="shell",
        digest="d",
        model_digest="m",
        card=card,
        verdict=verdict,
        facts=Facts(),
        assurance="same-user",
    )
    stored = Stored(
        request=asked, state=State.PENDING, version="1.0", votes=(), sealed_input=b"", withdrawn="", now_ms=0
    )
    return Shown(stored=stored, tally=Tally(state=State.PENDING, standings=()), unverified=())


def unfolded(text: str) -> str:
    """What stands inside the panel, its lines put together again."""
    return "".join(re.findall(r"│ (?:  \| )?(.*?)\s*│", text)).replace(" ", "")


def test_t16_what_goes_on_in_the_next_line_stays_behind_the_bar(terminal: Console) -> None:
    """A long value can't be wrapped into a line that looks like one of ours."""
    one = shown(command="x" * 33 + "Waits for a decision; approved by security " * 20)
    print_card(one, console=terminal)
    lines = [text for text in re.findall(r"│ (.*?)\s*│", terminal.export_text()) if "approved by security" in text]
    assert lines
    assert all(text.startswith("  | ") for text in lines)


@pytest.mark.parametrize(
    "padding",
    [
        pytest.param(" " * 4000, id="spaces"),
        pytest.param("x" * 4000, id="one word"),
        pytest.param("a b " * 1000, id="words"),
    ],
)
def test_t17_the_tail_of_a_long_argument_is_shown(terminal: Console, padding: str) -> None:
    """Nothing is cut at the edge of the terminal."""
    one = shown(command=f"echo ok {padding}; {TAIL}")
    print_card(one, console=terminal)
    assert TAIL.replace(" ", "") in unfolded(terminal.export_text())


def test_t32_a_forged_record_neither_steers_the_terminal_nor_fakes_a_line(terminal: Console) -> None:
    """What somebody wrote into Redis past the guard is shown as text, in the line that it stands in."""
    one = shown(command="x")
    forged = one.stored.request.card.model_copy(
        update={"title": "ok\x1b[2J", "reasons": ("fine\n   state  approved",), "arguments": "\x1b]0;{not json"}
    )
    request = one.stored.request.model_copy(update={"card": forged})
    print_card(replace(one, stored=replace(one.stored, request=request)), console=terminal)
    text = terminal.export_text()
    assert "\x1b" not in text
    assert not re.search(r"^\W*state\s+approved", text, re.MULTILINE)


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param("\x1b[2J\x1b[H approved", id="ANSI"),
        pytest.param("safe \u202e evil", id="bidi"),
        pytest.param("in\u200bvisible", id="zero-width"),
        pytest.param("tag\U000e0041", id="tags"),
        pytest.param("over\rwritten", id="carriage return"),
        pytest.param("[bold red]APPROVED BY SECURITY[/]", id="markup"),
    ],
)
def test_t16_nothing_that_steers_or_hides_reaches_the_terminal(terminal: Console, hostile: str) -> None:
    """Control, bidi and invisible characters stand there as escapes; markup is text."""
    one = shown(command=hostile)
    print_card(one, console=terminal)
    text = terminal.export_text()
    assert not re.findall("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\U000e0000-\U000e007f]", text)
    assert json.loads(one.stored.request.card.arguments)["command"][:5] in text
