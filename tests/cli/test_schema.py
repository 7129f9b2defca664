"""The JSON Schemas that editors complete by, held against a real validator and against the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from typer.testing import CliRunner

from agentguard.approval.roster_file import RosterFile
from agentguard.cli.app import app
from agentguard.config.schemas import Kind, schema_of
from agentguard.errors import PolicyError
from agentguard.model.marked_yaml import parse, read_yaml
from agentguard.policy.cases import CaseFile
from agentguard.policy.document import Fragment, Root
from tests.documents import ROOT, blocks, completed

MODELS: dict[Kind, type[BaseModel]] = {
    Kind.POLICY: Root,
    Kind.FRAGMENT: Fragment,
    Kind.CASES: CaseFile,
    Kind.APPROVERS: RosterFile,
}
SHIPPED = sorted((ROOT / "tool_policies").rglob("*.yaml"))
EXAMPLES = [
    (block.name, completed(block))
    for file in ("docs/policy.md", "docs/approvers.md", "docs/masking.md", "README.md")
    for block in blocks(ROOT / file, "yaml")
]


def kind_of(name: str) -> Kind:
    """What kind of file has this name."""
    if name.endswith(".cases.yaml"):
        return Kind.CASES
    return {"policy.yaml": Kind.POLICY, "approvers.yaml": Kind.APPROVERS}.get(name, Kind.FRAGMENT)


def accepts(kind: Kind, value: Any) -> bool:
    """Whether a document has the form of the schema."""
    return Draft202012Validator(schema_of(kind)).is_valid(value)


def loads(kind: Kind, text: str) -> bool:
    """Whether a document has the form that the loader wants."""
    try:
        parse(MODELS[kind], read_yaml(text, "file.yaml"))
    except PolicyError:
        return False
    return True


@pytest.mark.parametrize("kind", Kind)
def test_the_schemas_are_schemas(kind: Kind) -> None:
    """Each is valid JSON Schema, and the command prints it."""
    Draft202012Validator.check_schema(schema_of(kind))
    printed = CliRunner().invoke(app, ["policy", "schema", kind])
    assert json.loads(printed.stdout) == schema_of(kind)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_shipped_policy_has_the_form(file: Path) -> None:
    """An editor underlines nothing in what is shipped."""
    value = read_yaml(file.read_text(), file.name).value
    assert not list(Draft202012Validator(schema_of(kind_of(file.name))).iter_errors(value))


@pytest.mark.parametrize("example", range(len(EXAMPLES)), ids=lambda index: f"{EXAMPLES[index][0]}-{index}")
def test_schema_and_loader_agree_on_the_form_of_every_example(example: int) -> None:
    """What a document says loads has the form, and what it says has not, hasn't."""
    name, text = EXAMPLES[example]
    try:
        value = read_yaml(text, name).value
    except PolicyError:
        return  # no YAML that an editor could read either
    assert accepts(kind_of(name), value) is loads(kind_of(name), text)


BASE = "version: 1\nrisk: {low: allow, medium: allow, high: deny, critical: deny}\n"
ONE = "approvals: {on-call: {approvers: [group:on-call], deadline: %s}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "version: 2\nrisk: {low: allow, medium: allow, high: deny, critical: deny}\n",
        "version: 1\n",
        BASE + "tools: {x: lowest}\n",
        BASE + "tools: {'crm.*': low}\n",
        BASE + "tools: {'a**': low}\n",
        BASE + "tools: {x: {risk: low, lables: []}}\n",
        BASE + "tools: {x: {risk: low, deny: false}}\n",
        BASE + "tools: {x: {risk: low, labels: [Customer]}}\n",
        BASE + "tools: {x: {risk: low, params: {Url: [url]}}}\n",
        BASE + "tools: {x: {risk: low, params: {url: ['a b']}}}\n",
        BASE + "tools: {x: {risk: low, reveal: {to: []}}}\n",
        BASE + "tools: {x: {risk: low, reveal: {to: {types: [email]}}}}\n",
        BASE + "rules: [{id: a, tools: []}]\n",
        BASE + "rules: [{id: A, tools: ['*']}]\n",
        BASE + "rules: [{tools: ['*']}]\n",
        BASE + "rules: [{id: a, tools: ['*'], when: ''}]\n",
        BASE + "use: [/etc/other.yaml]\n",
        BASE + "use: [library:Demo]\n",
        BASE + "mode: quiet\n",
        BASE + "limits: {a: {tools: ['*'], max: 0, over: 1h, deny: true}}\n",
        BASE + "limits: {a: {tools: ['*'], max: 1, over: 1h, per: [], deny: true}}\n",
        BASE + "limits: {a: {tools: ['*'], max: 1, over: 1h, per: room, deny: true}}\n",
        BASE + "limits: {a: {tools: ['*'], sum: amount, max: 1, over: 1h, deny: true}}\n",
        BASE + "limits: {A: {tools: ['*'], max: 1, over: 1h, deny: true}}\n",
        BASE + "approvals: {on-call: {approvers: [on-call], deadline: 1h}}\n",
        BASE + "approvals: {on-call: {approvers: [group:on-call], deadline: 1h, quorum: 0}}\n",
        *(BASE + ONE % deadline for deadline in ("31d", "721h", "43201m", "2592001s", "0m", "01m", "1w", "90")),
        BASE + "masking: {actions: {email: token}}\n",
        BASE + "masking: {actions: {EMAIL_ADDRESS: hide}}\n",
        BASE + "masking: {fields: {'': PERSON}}\n",
        "[]\n",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses_for_form(text: str) -> None:
    """A typo is underlined while it is written, not told when a guard opens."""
    assert not loads(Kind.POLICY, text)
    assert not accepts(Kind.POLICY, read_yaml(text, "policy.yaml").value)


@pytest.mark.parametrize("deadline", ["30d", "720h", "43200m", "2592000s", "1s", "719h", "42999m", "2589999s"])
def test_the_longest_deadlines_have_the_form(deadline: str) -> None:
    """The pattern for editors and the loader's arithmetic draw the same line."""
    text = BASE + ONE % deadline
    assert loads(Kind.POLICY, text)
    assert accepts(Kind.POLICY, read_yaml(text, "policy.yaml").value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(Kind.FRAGMENT, BASE, id="root in fragment"),
        pytest.param(Kind.CASES, "- {name: a, tool: b, expect: {effect: maybe, risk: low}}\n", id="effect"),
        pytest.param(Kind.CASES, "- {name: a, expect: {effect: ask, risk: low}}\n", id="no tool"),
        pytest.param(Kind.CASES, "version: 1\n", id="no list"),
        pytest.param(Kind.APPROVERS, "people: {ann: {mail: ann@acme.example}}\n", id="person"),
        pytest.param(Kind.APPROVERS, "groups: {}\n", id="nobody"),
    ],
)
def test_the_other_schemas_refuse_what_the_loader_refuses(kind: Kind, text: str) -> None:
    """Fragments, cases and approvers are held to their form too."""
    assert not loads(kind, text)
    assert not accepts(kind, read_yaml(text, "file.yaml").value)


@pytest.mark.parametrize(
    "text", ["people: {}\n", "people: {Ann B: {email: ann@acme.example}}\n"], ids=["nobody", "a name"]
)
def test_people_have_names(text: str) -> None:
    """What the loader checks of names after the form, an editor underlines too."""
    assert not accepts(Kind.APPROVERS, read_yaml(text, "approvers.yaml").value)


def test_all_schemas_are_written_where_editors_find_them(tmp_path: Path) -> None:
    """--to writes one file a kind, and a folder that can't be written is a wrong use."""
    folder = tmp_path / "policies" / ".schema"
    done = CliRunner().invoke(app, ["policy", "schema", "--to", str(folder)])
    assert done.exit_code == 0
    written = {file.name: json.loads(file.read_text()) for file in folder.iterdir()}
    assert written == {f"{kind}.schema.json": schema_of(kind) for kind in Kind}
