"""The command line as a person meets it: real processes, real exit codes, errors that say what to do."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from agentguard import __version__
from agentguard.config import read_roster
from agentguard.store.embedded import Embedded, stop_left_over
from tests.cli.commands import Commands, Running
from tests.cli.terminal import terminal

pytestmark = pytest.mark.slow

AGENT = """\
import sys
from agentguard import open_guard, ToolCall
from agentguard.integrations.functions import FunctionTool

def refund(order_id: int) -> str:
    return f"refunded {order_id}"

with open_guard("tool_policies") as guard, guard.session(user="ann@acme.example", id="thread"):
    try:
        print(guard.blocking.run(ToolCall(tool="refund", arguments={"order_id": 1042}, id="c1"), FunctionTool.of(refund)))
    except Exception as error:
        print(type(error).__name__, error)
"""

TWO_CALLS = """\
import asyncio
from agentguard import open_guard, ToolCall
from agentguard.integrations.functions import FunctionTool

def refund(order_id: int) -> str:
    return f"refunded {order_id}"

async def main(guard):
    calls = [ToolCall(tool="refund", arguments={"order_id": order}, id=f"c{order}", turn="t1") for order in (1, 2)]
    with guard.session(user="ann@acme.example", id="thread"):
        print(*await asyncio.gather(*(guard.run(call, FunctionTool.of(refund)) for call in calls)))

with open_guard("tool_policies") as guard:
    asyncio.run(main(guard))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]
Agent = Callable[..., Running]


@pytest.fixture
def env(state_dir: Path) -> Iterator[dict[str, str]]:
    """Folders of this test's own; a server that a killed agent left there is stopped."""
    own = {"AGENTGUARD_STATE_DIR": f"{state_dir}/state", "AGENTGUARD_CONFIG_DIR": f"{state_dir}/config"}
    yield {**os.environ, **own, "COLUMNS": "160"}
    stop_left_over(state_dir / "state")


@pytest.fixture
def run(commands: Commands, state_dir: Path, env: dict[str, str]) -> Run:
    """Run `agentguard WORDS` in an empty folder, with nobody at the terminal."""

    def run_(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return commands.run(words, folder=state_dir, env=env, text=text)

    return run_


@pytest.fixture
def started(run: Run) -> Run:
    """The same, after `agentguard init`."""
    assert run("init", "--name", "ann", "--email", "ann@acme.example").returncode == 0
    return run


@pytest.fixture
def agent(commands: Commands, state_dir: Path, env: dict[str, str]) -> Iterator[Agent]:
    """A first own agent, as the README has it; `agent()` begins it."""
    with ExitStack() as agents:
        yield lambda **more: agents.enter_context(commands.started(code=AGENT, folder=state_dir, env={**env, **more}))


def the_request(run: Run) -> dict[str, str]:
    """The one request that waits, once it does."""
    until = time.monotonic() + 20
    while not (found := json.loads(run("approvals", "list", "--json").stdout)):
        assert time.monotonic() < until
    (request,) = found
    return dict(request)


def test_the_first_own_call_is_approved_in_three_steps(started: Run, agent: Agent) -> None:
    """init, run, approve: the user confirms what their own agent wants to do."""
    waiting = agent()
    request = the_request(started)
    decided = started("approvals", "approve", request["id"], "--card", request["card_digest"])
    assert (decided.returncode, waiting.communicate()[0]) == (0, "refunded 1042\n")
    assert started("audit", "verify").returncode == 0


def test_a_person_at_the_terminal_is_shown_the_card_before_they_approve(
    started: Run, agent: Agent, commands: Commands, state_dir: Path, env: dict[str, str]
) -> None:
    """On a terminal the card comes first and the answer is typed."""
    waiting = agent()
    request = the_request(started)
    with terminal(commands, "approvals", "approve", request["id"], folder=state_dir, env=env) as person:
        person.answer("y")
        person.code()
    shown = person.written
    assert "refund" in shown
    assert "1042" in shown
    assert waiting.communicate()[0] == "refunded 1042\n"


def test_the_calls_of_a_turn_are_approved_together(
    started: Run, commands: Commands, state_dir: Path, env: dict[str, str]
) -> None:
    """Both are shown on one card, and approved by its digest; another digest decides neither."""
    with commands.started(code=TWO_CALLS, folder=state_dir, env=env) as waiting:
        until = time.monotonic() + 20
        while len(found := json.loads(started("approvals", "list", "--json").stdout)) < 2:
            assert time.monotonic() < until
        one, two = (request["id"] for request in found)
        turn = json.loads(started("approvals", "turn", "show", two, "--json").stdout)
        shown = started("approvals", "turn", "show", one).stdout
        blind = started("approvals", "turn", "approve", one)
        other = started("approvals", "turn", "approve", one, "--card", "0" * 64)
        waits = json.loads(started("approvals", "list", "--json").stdout)
        done = started("approvals", "turn", "approve", one, "--card", turn["digest"])
        assert waiting.communicate()[0] == "refunded 1 refunded 2\n"
    assert set(turn["cards"]) == {one, two}
    assert "2 calls in one turn" in shown
    assert "2 of 2" in shown
    assert (blind.returncode, other.returncode, done.returncode) == (2, 1, 0)
    assert len(waits) == 2
    assert done.stdout.count("is on record") == 2


def test_the_calls_of_a_turn_are_rejected_together_with_a_usual_reason(
    started: Run, commands: Commands, state_dir: Path, env: dict[str, str]
) -> None:
    """Neither runs; the reason is one of those there are."""
    with commands.started(code=TWO_CALLS, folder=state_dir, env=env) as waiting:
        until = time.monotonic() + 20
        while len(found := json.loads(started("approvals", "list", "--json").stdout)) < 2:
            assert time.monotonic() < until
        one = found[0]["id"]
        card = json.loads(started("approvals", "turn", "show", one, "--json").stdout)["digest"]
        unusual = started("approvals", "turn", "reject", one, "--card", card, "--because", "whatever")
        done = started("approvals", "turn", "reject", one, "--card", card, "--because", "too-much", "-m", "Ask Dan")
        printed = waiting.communicate()[0]
    shown = [started("approvals", "show", request["id"], "--json").stdout for request in found]
    assert (unusual.returncode, done.returncode) == (2, 0)
    assert done.stdout.count("is on record") == 2
    assert all("It is too much; ask for less. Ask Dan" in each for each in shown)
    assert printed == ""


def test_a_rejection_gives_the_model_the_reason(started: Run, agent: Agent) -> None:
    """The words of the person come back to the agent."""
    waiting = agent()
    request = the_request(started)
    started("approvals", "reject", request["id"], "--card", request["card_digest"], "-m", "Not twice")
    assert "Not twice" in waiting.communicate()[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["approvals", "approve", "abc", "--card", "x"], "no request", id="unknown request"),
        pytest.param(["approvals", "show", "a:b{c}"], "no request", id="malformed id"),
        pytest.param(["audit", "export", "--since", "yesterday"], "30m, 12h or 7d", id="bad duration"),
        pytest.param(["mask", "nothing.txt"], "No such file", id="no file"),
        pytest.param(["policy", "lint", "nowhere"], "agentguard init nowhere", id="no folder"),
        pytest.param(["policy", "explain", "--tool", "x", "--args", "{", "tool_policies"], "--args", id="bad JSON"),
        pytest.param(["policy", "explain", "--tool", "x", "--args", "[1]", "tool_policies"], "object", id="no object"),
        pytest.param(["init"], "is there already", id="init twice"),
        pytest.param(["init", "tool_policies/policy.yaml/new"], "name another place", id="a folder inside a file"),
        pytest.param(["serve", "--policies", "nowhere"], "nowhere: no such folder", id="no folder to serve"),
        pytest.param(["groups", "list", "--policies", "nowhere"], "nowhere: no such folder", id="no folder of groups"),
        pytest.param(["groups", "ask", "--policies", "nowhere"], "nowhere: no such folder", id="no folder to ask"),
        pytest.param(["groups", "ask", "--as", "ann"], "give --sign too", id="a key that signs nothing"),
        pytest.param(["slack", "setup", "--test-card"], "SLACK_BOT_TOKEN", id="a test message from nobody"),
        pytest.param(["approvals", "settle", "abc", "--happened"], "nothing of 'abc' began to run", id="no run"),
        pytest.param(["demo"], "--auto", id="demo without a terminal"),
        pytest.param(["init", "new", "--name", "../ann"], "no name; a name is", id="a name that leads elsewhere"),
        pytest.param(["init", "new", "--email", "ann"], "no e-mail address", id="no address"),
        pytest.param(
            ["keys", "new", "../ann", "--no-passphrase"], "no name; a name is", id="a key that lies elsewhere"
        ),
        pytest.param(["keys", "show", "../ann"], "no name; a name is", id="a key elsewhere"),
        pytest.param(
            ["policy", "explain", "--tool", "x", "--over", "dayly", "tool_policies"], "no such limit", id="no limit"
        ),
        pytest.param(
            ["policy", "explain", "--tool", "x", "--user", "ann", "--autonomous", "tool_policies"],
            "or --user",
            id="a user and none",
        ),
        pytest.param(
            ["policy", "pin", "--mcp", "false", "tool_policies"], "a server that speaks MCP", id="no MCP server"
        ),
    ],
)
def test_wrong_use_is_told_what_to_do_instead(started: Run, words: list[str], told: str) -> None:
    """One line on stderr, no traceback, and an exit code that is not 0."""
    done = started(*words)
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


ASKING_REDIS = [
    "approvals list",
    "approvals show abc",
    "grants list",
    "freezes",
    "unfreeze abc",
    "webhooks dead",
    "doctor",
]


@pytest.mark.parametrize("command", ASKING_REDIS)
def test_a_redis_that_does_not_answer_is_told_with_its_setting(
    commands: Commands, started: Run, state_dir: Path, env: dict[str, str], command: str
) -> None:
    """Whichever command finds out."""
    away = {**env, "AGENTGUARD_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = commands.run(tuple(command.split()), folder=state_dir, env=away)
    assert done.returncode == 1
    assert "redis: it can't be reached" in done.stderr + done.stdout
    assert "AGENTGUARD_REDIS_URL says where it is" in done.stderr + done.stdout


UNKNOWN = {
    "approvals show": "no request 'abc'",
    "approvals approve --card x": "no request 'abc'",
    "approvals reject --card x": "no request 'abc'",
    "approvals edit --card x --set a=1": "no request 'abc'",
    "approvals turn show": "no request 'abc'",
    "approvals turn approve --card x": "no request 'abc'",
    "approvals settle --happened": "nothing of 'abc' began to run",
    "grants revoke": "no one grant is 'abc'",
    "unfreeze": "no one freeze is 'abc'",
    "token revoke": "no token 'abc'",
    "webhooks redeliver": "no message of this id",
    "vault erase --yes --session": "to be erased: 0",
}


@pytest.mark.parametrize(("command", "told"), UNKNOWN.items(), ids=UNKNOWN)
def test_an_id_that_names_nothing_is_an_answer_of_no(started: Run, command: str, told: str) -> None:
    """Exit code 1 in every command that takes one, with a word on where ids are shown."""
    done = started(*command.split(), "abc")
    assert done.returncode == 1
    assert told in done.stderr + done.stdout


def test_a_first_policy_that_has_no_place_leaves_no_key(started: Run) -> None:
    """`init` makes the folder before the key of whoever it is for."""
    done = started("init", "tool_policies/policy.yaml/new", "--name", "dan")
    assert done.returncode == 2
    assert "no key of 'dan'" in started("keys", "show", "dan").stderr


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AGENTGUARD_REDIS_WAIT", "hunter2", "AGENTGUARD_REDIS_WAIT: Input should be a valid integer"),
        ("AGENTGUARD_SESSION_DAYS", "0", "AGENTGUARD_SESSION_DAYS: Input should be greater than or equal to 1"),
        ("AGENTGUARD_REPLAY_DAYS", "-1", "AGENTGUARD_REPLAY_DAYS: "),
        ("AGENTGUARD_ROSTER_KEYS", " , ", "AGENTGUARD_ROSTER_KEYS: write public keys"),
        ("AGENTGUARD_ROSTER_KEYS", "ed25519:hunter2", "AGENTGUARD_ROSTER_KEYS: write public keys"),
        ("AGENTGUARD_ROSTER_KEY", "x", "no such setting; did you mean AGENTGUARD_ROSTER_KEYS?"),
        ("AGENTGUARD_REDIS_URI", "redis://:hunter2@x", "no such setting; did you mean AGENTGUARD_REDIS_URL?"),
    ],
)
def test_t20_a_wrong_setting_is_one_line_that_names_it(
    commands: Commands, state_dir: Path, env: dict[str, str], variable: str, value: str, told: str
) -> None:
    """By its variable, without its value; and one that is nearly a setting is none that can be left unread."""
    done = commands.run(("freezes",), folder=state_dir, env={**env, variable: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {variable}: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_other_variables_of_that_prefix_are_no_settings(
    commands: Commands, state_dir: Path, env: dict[str, str]
) -> None:
    """Such as those that a client's configuration holds for a server behind the guard."""
    more = {"AGENTGUARD_MCP_URL": "https://x.example", "AGENTGUARD_OF_A_CHANNEL": "1"}
    assert commands.run(("freezes",), folder=state_dir, env={**env, **more}).returncode == 0


def test_t32_doctor_takes_only_the_people_that_an_agent_would_take(
    commands: Commands, started: Run, state_dir: Path, env: dict[str, str]
) -> None:
    """Where AGENTGUARD_ROSTER_KEYS says whose signature counts."""
    trusting = {**env, "AGENTGUARD_ROSTER_KEYS": started("keys", "show", "ann").stdout.strip()}
    unsigned = commands.run(("doctor",), folder=state_dir, env=trusting)
    started("keys", "sign")
    signed = commands.run(("doctor",), folder=state_dir, env=trusting)
    assert (unsigned.returncode, signed.returncode) == (1, 0)
    assert "wrong  groups:" in unsigned.stdout


@pytest.mark.parametrize("mail", ["ann@acme.example", "o'hara,ann@acme.example", '"{x}"@acme.example'])
def test_a_first_approvers_file_loads_whatever_the_address(run: Run, state_dir: Path, mail: str) -> None:
    """It is one person's, with that address."""
    assert run("init", "--name", "ann", "--email", mail).returncode == 0
    assert read_roster(state_dir / "tool_policies").people["ann"].email == mail


def test_approving_with_nobody_at_the_terminal_says_which_card(started: Run, agent: Agent) -> None:
    """A script must say which card was seen; nothing is decided without."""
    waiting = agent()
    request = the_request(started)
    blind = started("approvals", "approve", request["id"])
    other = started("approvals", "approve", request["id"], "--card", "0" * 64)
    waiting.kill()
    waiting.communicate()
    assert (blind.returncode, other.returncode) == (2, 1)
    assert "--card DIGEST" in blind.stderr
    assert "not what you saw" in other.stderr


def test_the_first_characters_of_an_id_are_enough(started: Run, agent: Agent) -> None:
    """As lists and the demo show them; too few are no id."""
    waiting = agent()
    request = the_request(started)
    short, too_short = started("approvals", "show", request["id"][:8]), started("approvals", "show", request["id"][:5])
    waiting.kill()
    waiting.communicate()
    assert (short.returncode, too_short.returncode) == (0, 1)
    assert "refund" in short.stdout


def test_without_a_key_nobody_decides(started: Run, state_dir: Path) -> None:
    """The command line always needs an approver's key."""
    key = state_dir / "config" / "keys" / "ann.key"
    key.unlink()
    done = started("approvals", "approve", "abc", "--card", "x")
    assert done.returncode == 2
    assert "whose key?" in done.stderr


def test_a_policy_that_does_not_load_says_where(started: Run, state_dir: Path) -> None:
    """file:line:column, what is wrong, what to write instead."""
    policy = state_dir / "tool_policies" / "policy.yaml"
    policy.write_text(policy.read_text().replace("approvers: [group:on-call]", "aprovers: [group:on-call]"))
    done = started("policy", "lint", "tool_policies")
    assert done.returncode == 2
    assert "policy.yaml:13:13" in done.stderr
    assert "approvers" in done.stderr


def test_mask_shows_what_the_model_would_see(run: Run) -> None:
    """From standard input, without storing anything."""
    done = run("mask", "-", text='{"full_name": "Anna Kowalska", "mail": "anna@mail.example"}')
    assert done.returncode == 0
    assert "Kowalska" not in done.stdout
    assert "[PERSON_" in done.stdout
    assert "[EMAIL_" in done.stdout


def test_t33_audit_verify_names_the_record_that_was_changed(started: Run, agent: Agent, state_dir: Path) -> None:
    """One character in one record: exit code 1, file and line."""
    waiting = agent()
    request = the_request(started)
    started("approvals", "approve", request["id"], "--card", request["card_digest"])
    waiting.communicate()
    (segment,) = (file for file in (state_dir / "state" / "journal").glob("*.jsonl") if "writers" not in file.name)
    segment.write_text(segment.read_text().replace('"risk":"high"', '"risk":"lows"', 1))
    done = started("audit", "verify")
    assert done.returncode == 1
    assert segment.name in done.stdout
    assert "changed" in done.stdout
    ill = started("doctor")
    assert ill.returncode == 1
    assert f"wrong  journal: {segment.name}:" in ill.stdout
    assert "WriterReport" not in ill.stdout


def test_policies_without_cases_fail_their_test_and_it_says_why(started: Run) -> None:
    """No case is no pass: exit code 1, and the complaint names the folder and what is missing."""
    done = started("policy", "test", "tool_policies")
    assert done.returncode == 1
    assert "tool_policies: no *.cases.yaml" in done.stderr


def test_the_command_says_its_version(run: Run) -> None:
    """The first thing that a report of a mistake needs."""
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"agentguard {__version__}\n")


def test_a_list_of_no_tokens_says_so(started: Run) -> None:
    """An empty answer looks like a broken one."""
    done = started("token", "list")
    assert (done.returncode, done.stdout.startswith("there are no tokens")) == (0, True)


def test_doctor_checks_policies_redis_and_journal(started: Run) -> None:
    """All three are well after a first start; a missing policy is wrong."""
    well, ill = started("doctor"), started("doctor", "--policies", "nowhere")
    assert (well.returncode, ill.returncode) == (0, 1)
    assert "noeviction" in well.stdout


def test_doctor_says_which_group_of_a_command_has_nobody_in_it(started: Run, state_dir: Path) -> None:
    """Until its command answered."""
    people = state_dir / "tool_policies" / "approvers.yaml"
    people.write_text(f"{people.read_text()}groups: {{rota: {{command: [echo, ann]}}}}\n")
    empty, asked, full = started("doctor"), started("groups", "ask"), started("doctor")
    assert (empty.returncode, asked.returncode, full.returncode) == (1, 0, 0)
    assert "no answer of the command of rota counts" in empty.stdout.replace("\n", " ")
    assert "1 told by a command, somebody in each" in full.stdout


@pytest.mark.parametrize(("times", "code"), [(1.25, 1), (2, 0)], ids=["four fifths full", "half full"])
def test_t5_doctor_warns_before_the_memory_is_full(started: Run, state_dir: Path, times: float, code: int) -> None:
    """Of seventy percent on: there is still time to make room."""
    lease = Embedded.acquire(state_dir / "state")
    with Redis.from_url(lease.url) as line:
        line.config_set("maxmemory", int(line.info("memory")["used_memory"] * times))

    done = started("doctor")

    lease.release()
    assert (done.returncode, "full, raise maxmemory" in done.stdout) == (code, code == 1)


def test_mask_explains_without_the_values(run: Run) -> None:
    """--explain lists what was found and where, and shows none of it."""
    done = run("mask", "--explain", "-", text="mail anna@mail.example")
    assert "EMAIL_ADDRESS" in done.stdout
    assert "anna" not in done.stdout


def test_mask_takes_the_actions_of_a_policy(started: Run, state_dir: Path) -> None:
    """--policies: the masking section of that folder decides."""
    policy = state_dir / "tool_policies" / "policy.yaml"
    policy.write_text(policy.read_text().replace('{"*": token}', "{EMAIL_ADDRESS: redact}"))
    done = started("mask", "--policies", "tool_policies", "-", text="mail anna@mail.example")
    assert done.stdout == "mail [EMAIL_ADDRESS redacted]\n"


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        pytest.param("'PERSON' in data.entities", ["--entity", "PERSON"], id="entity"),
        pytest.param("'find' in data.origins", ["--origin", "find"], id="origin"),
        pytest.param("'untrusted' in session.labels", ["--label", "untrusted"], id="label"),
        pytest.param("call.user == 'bob@acme.example'", ["--user", "bob@acme.example"], id="user"),
        pytest.param("call.user == ''", ["--autonomous"], id="autonomous"),
    ],
)
def test_explain_hears_what_it_is_told_of_a_call(
    started: Run, state_dir: Path, condition: str, words: list[str]
) -> None:
    """Each option is a fact that a rule may read: with it the rule denies, without it not."""
    rule = f'rules:\n  - {{id: told, tools: ["*"], when: "{condition}", deny: true, reason: Told}}\n'
    (state_dir / "tool_policies" / "rules.yaml").write_text(f"version: 1\n{rule}")
    with_it = started("policy", "explain", "--tool", "refund", *words, "tool_policies")
    without = started("policy", "explain", "--tool", "refund", "tool_policies")
    assert "refund is denied" in with_it.stdout
    assert "refund is denied" not in without.stdout


def test_requests_are_seen_in_their_own_tenant_and_all_of_them_where_asked(started: Run, agent: Agent) -> None:
    """--tenant looks elsewhere, --all shows what ended, --as chooses whose key."""
    waiting = agent(AGENTGUARD_DEPLOYMENT="staging")
    request = the_request(started)
    elsewhere = started("approvals", "list", "--tenant", "other", "--json")
    nobody = started("approvals", "approve", request["id"], "--card", request["card_digest"], "--as", "zoe")
    started("approvals", "approve", request["id"], "--card", request["card_digest"], "--as", "ann")
    waiting.communicate()
    assert json.loads(elsewhere.stdout) == []
    assert (nobody.returncode, "no key of 'zoe'" in nobody.stderr) == (2, True)
    assert json.loads(started("approvals", "list", "--json").stdout) == []
    (ended,) = json.loads(started("approvals", "list", "--all", "--json").stdout)
    assert ended["state"] == "done"
    assert dict(ended)["card"]["deployment"] == "staging"


def test_the_journal_is_read_as_far_back_as_asked(started: Run, agent: Agent) -> None:
    """Tail -n counts records, export --since counts time."""
    waiting = agent()
    request = the_request(started)
    started("approvals", "reject", request["id"], "--card", request["card_digest"])
    waiting.communicate()
    assert len(started("audit", "tail", "-n", "2").stdout.splitlines()) == 2
    assert len(started("audit", "export", "--since", "1h").stdout.splitlines()) > 2
    assert started("audit", "export", "--since", "0s").stdout == ""


def test_doctor_stops_a_server_that_a_killed_process_left(started: Run, agent: Agent) -> None:
    """--stop ends it once, and then there is none."""
    waiting = agent()
    the_request(started)
    waiting.kill()
    waiting.communicate()
    left, gone = started("doctor", "--stop"), started("doctor", "--stop")
    assert "stopped" in left.stdout
    assert "no embedded server" in gone.stdout


def test_a_token_ends_when_it_was_told_to(started: Run) -> None:
    """--expires sets the end, and the list shows it; the token itself is never listed."""
    made = started("token", "create", "ann", "--expires", "30d")
    listed = started("token", "list").stdout
    assert "until no end" not in listed
    assert made.stdout.splitlines()[0] not in listed


def test_two_state_folders_with_one_keyring_are_one_agents_side(started: Run, agent: Agent, state_dir: Path) -> None:
    """AGENTGUARD_KEYS names the keyring that several machines share; no other is made."""
    waiting = agent(AGENTGUARD_KEYS=f"{state_dir}/shared.json")
    the_request(started)
    waiting.kill()
    waiting.communicate()
    assert (state_dir / "shared.json").exists()
    assert not (state_dir / "state" / "keys.json").exists()
    assert started("doctor", "--stop").returncode == 0
