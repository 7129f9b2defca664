"""The documentation is true: what there is to know is in it, its examples load, its commands print what it says, its README runs."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from fastapi.routing import APIRoute
from pydantic import BaseModel

from agentguard import errors
from agentguard.approval.roster_file import RosterFile
from agentguard.cli.app import app
from agentguard.config import Settings, read_policies
from agentguard.errors import AgentGuardError, PolicyError, RefusalReason
from agentguard.masking import ACTIONS
from agentguard.masking.whole_names import WHOLE
from agentguard.model.verdicts import Risk
from agentguard.policy.cases import Case, Expectation
from agentguard.policy.conditions import Language
from agentguard.policy.document import Root
from agentguard.policy.unenforced import CLAUSES
from agentguard.server.decision_routes import incoming
from agentguard.server.entrance import logins
from agentguard.server.freeze_pages import freeze_pages
from agentguard.server.grant_pages import grant_pages
from agentguard.server.messages import Facts, Kind
from agentguard.server.order_routes import orders
from agentguard.server.pages import pages
from agentguard.server.request_pages import request_pages
from agentguard.server.routes import api, health
from agentguard.server.settings import PREFIX, ServerSettings
from agentguard.server.turn_pages import turn_pages
from tests import documents
from tests.cli.commands import Commands
from tests.documents import DOCUMENTS, ROOT, Block, blocks
from tests.integrations.fake_openai import FakeOpenAI, call, calls, text

README = ROOT / "README.md"
POLICY, APPROVERS, MASKING, ERRORS, SERVER = (
    ROOT / "docs" / f"{name}.md" for name in ("policy", "approvers", "masking", "errors", "server")
)
BIN = Path(sys.executable).parent
ROUTERS = (api, incoming, orders, health, logins, pages, request_pages, turn_pages, freeze_pages, grant_pages)
NEEDS_A_REQUEST_OR_A_SERVER = re.compile(r"\bID\b|agentguard (init|serve|token)|^(make|pip) ")
"""Commands of the README that are run elsewhere, or need what a test of documents does not have."""
NEEDS_A_SHELL = re.compile(r" [|>] ")


def _keys(model: Any) -> set[str]:
    """The keys that the YAML of a model may hold, of all models in it too."""
    found: set[str] = set()
    for field in model.model_fields.values():
        for inner in _models(field.annotation):
            found |= _keys(inner)
    return found | {field.alias or name for name, field in model.model_fields.items()}


def _models(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in _models(part)}


def _commands(group: Any = None, words: tuple[str, ...] = ("agentguard",)) -> Iterator[tuple[str, Any]]:
    """Every command with its words."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        inner = (*words, name)
        if hasattr(command, "commands"):
            yield from _commands(command, inner)
        else:
            yield " ".join(inner), command


def _options() -> set[str]:
    return {option for _, command in _commands() for param in command.params for option in param.opts if "-" in option}


def _error_names() -> list[str]:
    return sorted(
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, AgentGuardError)
    )


def _written(pattern: str, package: str = "") -> set[str]:
    """What a pattern finds in the source of a package."""
    sources = (ROOT / "agentguard" / package).rglob("*.py")
    return {found for source in sources for found in re.findall(pattern, source.read_text())}


def _console(*files: Path) -> list[Block]:
    return [block for file in files for block in blocks(file, "console")]


def _readme_commands(*, shell: bool) -> list[str]:
    steps = [command for block in blocks(README, "console") for command, _ in block.steps]
    here = [command for command in steps if not NEEDS_A_REQUEST_OR_A_SERVER.search(command)]
    return [command for command in here if bool(NEEDS_A_SHELL.search(command)) is shell]


@pytest.mark.parametrize("key", sorted(_keys(Root) | {"risk", "ask", "deny"}))
def test_every_key_of_a_policy_is_documented(key: str) -> None:
    """docs/policy.md names each key that a policy may hold."""
    assert f"`{key}`" in POLICY.read_text()


@pytest.mark.parametrize("key", sorted(_keys(RosterFile)))
def test_every_key_of_approvers_is_documented(key: str) -> None:
    """docs/approvers.md names each key that approvers.yaml may hold."""
    assert re.search(rf"`{key}`|^## {key}$", APPROVERS.read_text(), re.MULTILINE)


@pytest.mark.parametrize("key", sorted(set(Case.model_fields) | set(Expectation.model_fields)))
def test_every_key_of_a_case_is_documented(key: str) -> None:
    """docs/policy.md names each key that a case may hold."""
    assert f"`{key}`" in POLICY.read_text()


@pytest.mark.parametrize("word", [*Risk, *ACTIONS, *sorted({clause[-1] for clause in CLAUSES})])
def test_every_word_of_the_policy_language_is_documented(word: str) -> None:
    """docs/policy.md names each level, each masking action, and each clause that this version refuses."""
    assert f"`{word}`" in POLICY.read_text()


@pytest.mark.parametrize("name", [name for name in Language([])._names if not name.startswith("params.")])
def test_every_name_of_a_condition_is_documented(name: str) -> None:
    """docs/policy.md lists what conditions may read."""
    assert f"`{name}`" in POLICY.read_text()


@pytest.mark.parametrize("role", Language([]).roles)
def test_every_known_role_is_documented(role: str) -> None:
    """docs/policy.md lists the roles that every condition may read."""
    assert f"`{role}`" in POLICY.read_text()


@pytest.mark.parametrize(
    "entity_type",
    sorted(
        {*WHOLE.values(), "CITY", "ZIP_CODE", "CRYPTO", "JWT", "MAC_ADDRESS", "PRIVATE_KEY", "URL", "US_ITIN"},
    ),
)
def test_every_entity_type_is_documented(entity_type: str) -> None:
    """docs/masking.md names each type that is found."""
    assert f"`{entity_type}`" in MASKING.read_text()


@pytest.mark.parametrize(
    "variable",
    [f"AGENTGUARD_{name.upper()}" for name in Settings.model_fields]
    + [f"{PREFIX}{name.upper()}" for name in ServerSettings.model_fields]
    + ["AGENTGUARD_POLICIES"],
)
def test_every_setting_is_documented(variable: str) -> None:
    """docs/settings.md has a row for each variable."""
    assert f"| `{variable}` |" in (ROOT / "docs/settings.md").read_text()


def test_no_setting_is_documented_that_nothing_reads() -> None:
    """Each AGENTGUARD_ variable that a document names is one that the package reads."""
    # given
    read = {f"AGENTGUARD_{name.upper()}" for name in Settings.model_fields} | {"AGENTGUARD_POLICIES"}
    read |= {f"{PREFIX}{name.upper()}" for name in ServerSettings.model_fields}

    # when
    told = {name for file in DOCUMENTS for name in re.findall(r"AGENTGUARD_[A-Z_]*[A-Z]", file.read_text())}

    # then
    assert told - read <= {"AGENTGUARD_SERVER"}


@pytest.mark.parametrize("command", [words for words, _ in _commands()])
def test_every_command_is_documented(command: str) -> None:
    """docs/cli.md has a row for each command."""
    assert re.search(rf"\| `{command}[ `]", (ROOT / "docs/cli.md").read_text())


@pytest.mark.parametrize("option", sorted(_options() - {"--help"}))
def test_every_option_is_documented(option: str) -> None:
    """docs/cli.md names each option."""
    assert f"`{option}`" in (ROOT / "docs/cli.md").read_text()


def test_no_command_is_documented_that_is_not_there() -> None:
    """Each `agentguard ...` in a document is a command."""
    # given
    there = {words for words, _ in _commands()} | {words.rpartition(" ")[0] for words, _ in _commands()}

    # when
    written = re.compile(r"agentguard(?: [a-z]+){1,2}(?![\w.=])")
    told = {found for file in DOCUMENTS for block in _code(file) for found in written.findall(block)}

    # then
    assert not [words for words in told if words not in there and words.rpartition(" ")[0] not in there]


@pytest.mark.parametrize("name", _error_names())
def test_every_error_is_documented(name: str) -> None:
    """docs/errors.md has a row for each error."""
    assert f"| `{name}` |" in ERRORS.read_text()


@pytest.mark.parametrize("reason", RefusalReason, ids=str)
def test_every_refusal_reason_is_documented(reason: RefusalReason) -> None:
    """docs/errors.md has a row for each reason, in the words that the model reads."""
    assert f"| {reason} | `{reason.name}` |" in ERRORS.read_text()


@pytest.mark.parametrize("code", sorted(_written(r'DecisionRefused\(\s*"([a-z_]+)"')))
def test_every_code_of_a_refused_decision_is_documented(code: str) -> None:
    """docs/errors.md names each code that a person or a program may be told."""
    assert f"`{code}`" in ERRORS.read_text()


@pytest.mark.parametrize("component", sorted(_written(r'GuardUnavailable\(\s*"([a-z ]+)"')))
def test_every_component_that_may_be_away_is_documented(component: str) -> None:
    """docs/errors.md names each part that `GuardUnavailable.component` may name."""
    assert f"`{component}`" in ERRORS.read_text()


@pytest.mark.parametrize(
    "route",
    [route for router in ROUTERS for route in router.routes],
    ids=lambda route: f"{min(route.methods)} {route.path}",
)
def test_every_route_is_documented(route: APIRoute) -> None:
    """docs/server.md has a row for each route."""
    assert f"| `{min(route.methods)} {route.path}` |" in SERVER.read_text()


@pytest.mark.parametrize("code", sorted(_written(r'problem\(\s*[0-9]{3}, "([a-z_]+)"', "server")))
def test_every_problem_of_the_api_is_documented(code: str) -> None:
    """docs/server.md names each code of an error reply."""
    assert f"`{code}`" in SERVER.read_text()


@pytest.mark.parametrize("word", [*Facts.model_fields, *get_args(Kind)])
def test_everything_in_a_webhook_is_documented(word: str) -> None:
    """docs/server.md names each field of a webhook's data, and each type."""
    assert f"`{word}`" in SERVER.read_text()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_local_links_lead_somewhere(path: Path) -> None:
    """Each link to a file of the project resolves."""
    assert not [target for target in documents.links(path) if not (path.parent / target).exists()]


@pytest.mark.parametrize(
    "block",
    [block for file in (README, POLICY, APPROVERS, MASKING) for block in blocks(file, "yaml") if not block.refused],
    ids=lambda block: block.place,
)
def test_examples_load(block: Block, tmp_path: Path) -> None:
    """Each example of policy or approvers loads as `open_guard` loads it, with the sections that it leaves out."""
    # given
    policies = documents.write_files(tmp_path, [block])

    # then
    assert read_policies(policies).version


@pytest.mark.parametrize(
    "block",
    [block for file in (POLICY, APPROVERS) for block in blocks(file, "yaml") if block.refused],
    ids=lambda block: block.place,
)
def test_examples_of_what_is_refused_are_refused(block: Block, tmp_path: Path) -> None:
    """What a document says does not load doesn't, and each problem has a place."""
    # given
    policies = documents.write_files(tmp_path, [block])

    # when
    with pytest.raises(PolicyError) as refused:
        read_policies(policies)

    # then
    assert all(problem.place.line >= 1 for problem in refused.value.problems)


@pytest.mark.parametrize(
    "session", _console(POLICY, APPROVERS, MASKING, ROOT / "docs/cli.md"), ids=lambda block: block.place
)
def test_commands_print_what_the_documents_say(
    session: Block, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command, run where the files of its section lie, prints what stands under it; it fails exactly where an error stands there."""
    # given
    documents.prepare(state_dir, session)
    monkeypatch.chdir(state_dir)
    monkeypatch.setenv("AGENTGUARD_STATE_DIR", str(state_dir / "state"))
    monkeypatch.setenv("AGENTGUARD_CONFIG_DIR", str(state_dir / "config"))

    # when
    ran = [(command, expected, *documents.run(command, monkeypatch)) for command, expected in session.steps]

    # then
    wrong = [(command, printed) for command, expected, _, printed in ran if not documents.told(expected, printed)]
    assert not wrong
    assert all((code != 0) is expected.startswith("error:") for _, expected, code, _ in ran)


@pytest.fixture
def beside_the_shipped_policies(state_dir: Path) -> Path:
    """A folder with the shipped policies and the people of the documents."""
    policies = shutil.copytree(ROOT / "tool_policies", state_dir / "tool_policies")
    (policies / "approvers.yaml").write_text(documents.people().text)
    return state_dir


@pytest.mark.slow
@pytest.mark.parametrize("command", _readme_commands(shell=False))
def test_commands_of_the_readme_succeed(command: str, beside_the_shipped_policies: Path, commands: Commands) -> None:
    """Each command that needs no request and no server exits 0 beside the shipped policies."""
    # given
    _, *words = shlex.split(command, comments=True)

    # when
    ran = commands.run(tuple(words), folder=beside_the_shipped_policies, env=_own(beside_the_shipped_policies))

    # then
    assert ran.returncode == 0, ran.stderr
    assert documents.told(_expected(command), ran.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("command", _readme_commands(shell=True))
def test_command_lines_of_the_readme_succeed(command: str, beside_the_shipped_policies: Path) -> None:
    """Those that a shell puts together do so too."""
    # when
    ran = subprocess.run(
        ["bash", "-ec", command],
        cwd=beside_the_shipped_policies,
        env=_own(beside_the_shipped_policies),
        capture_output=True,
        text=True,
        check=False,
    )

    # then
    assert ran.returncode == 0, ran.stderr
    assert documents.told(_expected(command), ran.stdout)


@pytest.mark.slow
def test_the_first_block_of_the_readme_runs(state_dir: Path, commands: Commands) -> None:
    """The README's agent, with the policies that `agentguard init` writes: its call waits, its user confirms it, and it runs once."""
    # given
    agentguard = partial(_agentguard, commands, state_dir)
    agentguard("init", "--name", "ann", "--email", "ann@acme.example")
    program = blocks(README, "python")[0].text

    # when
    with FakeOpenAI() as model:
        model.says(calls(call("call-1", "refund", {"order_id": 1042})), text("It is refunded."))
        own = {**_own(state_dir), "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-test"}
        with commands.started(code=program, folder=state_dir, env=own) as agent:
            request = _first_request(agentguard)
            agentguard("approvals", "approve", request["id"], "--card", request["card_digest"])
            _, told = agent.communicate()

    # then
    assert agent.returncode == 0, told
    assert request["needs"][0]["name"] == "confirm"
    assert [message["content"] for message in json.loads(model.sent[-1])["messages"] if message["role"] == "tool"] == [
        "order 1042 is refunded"
    ]


def test_the_readme_has_the_commands_that_are_promised() -> None:
    """The README's two commands are targets of the Makefile."""
    # given
    makefile = (ROOT / "Makefile").read_text()

    # then
    assert all(f"$ make {target}" in README.read_text() for target in ("demo", "test"))
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in ("demo", "test"))


@pytest.mark.parametrize("row", range(1, 41))
def test_every_threat_has_a_status(row: int) -> None:
    """docs/threat-model.md says of each threat whether it is tested, and what is open; a tested one is not said to be missing."""
    # when
    status = _statuses()[row - 1]

    # then
    assert re.match(r"tested: tests/|partly: " if row in _tested() else r"partly: |not in this version: ", status)


@pytest.mark.parametrize("row", range(1, 41))
def test_the_tests_that_the_threat_model_names_exist(row: int) -> None:
    """Each file that a status names has a test of that threat."""
    # when
    named = re.findall(r"tests/[\w/]+\.py", _statuses()[row - 1])

    # then
    assert set(named) <= _tested().get(row, set())


def _statuses() -> list[str]:
    rows = re.findall(r"^\| T(\d+) \|.*\| ([^|]+) \|$", (ROOT / "docs/threat-model.md").read_text(), re.MULTILINE)
    return [status for _, status in sorted(rows, key=lambda row: int(row[0]))]


@functools.cache
def _tested() -> dict[int, set[str]]:
    """The files that have a test of each threat, by their names: `test_t21_...`, `test_t4_t5_...`."""
    found: dict[int, set[str]] = {}
    for file in (ROOT / "tests").rglob("test_*.py"):
        for threats in re.findall(r"def test_((?:t\d+_)+)", file.read_text()):
            for number in re.findall(r"t(\d+)_", threats):
                found.setdefault(int(number), set()).add(str(file.relative_to(ROOT)))
    return found


def _code(file: Path) -> list[str]:
    """What stands as code in a document: blocks, and words between backticks."""
    written = file.read_text()
    return [*(block.text for block in blocks(file, "console")), *re.findall(r"`([^`\n]+)`", written)]


def _expected(command: str) -> str:
    steps = dict(step for block in blocks(README, "console") for step in block.steps)
    return steps[command] if steps[command].strip() else "..."


def _own(folder: Path) -> dict[str, str]:
    """An environment of its own for a command."""
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "AGENTGUARD_STATE_DIR": str(folder / "state"),
        "AGENTGUARD_CONFIG_DIR": str(folder / "config"),
    }


def _agentguard(commands: Commands, folder: Path, *words: str) -> str:
    ran = commands.run(words, folder=folder, env=_own(folder))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _first_request(agentguard: Callable[..., str]) -> dict[str, Any]:
    """The first request that waits there, within half a minute."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found: list[dict[str, Any]] = json.loads(agentguard("approvals", "list", "--json"))
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError("no call came to wait")
