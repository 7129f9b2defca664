"""The library as people start from it: `agentguard init`, then `use: [library:NAME]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentguard.cli.init import init
from agentguard.config import policy_library, read_policies
from agentguard.policy import Policy, Source, read_cases, run_cases
from tests.policy.policies import judge

LIBRARY = policy_library()
FAMILIES = sorted(
    file.stem
    for file in LIBRARY.glob("*.yaml")
    if not file.name.endswith(".cases.yaml") and file.stem not in {"policy", "agentguard", "demo"}
)
"""What people start from; the demo asks a board that only its own root has."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `agentguard init` writes."""
    home = tmp_path_factory.mktemp("init")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AGENTGUARD_CONFIG_DIR", str(home / "config"))
        init(home / "tool_policies", name="ann", email="ann@acme.example")
    return home / "tool_policies"


def using(first: Path, folder: Path, *names: str) -> Policy:
    """The first policy, which takes these in."""
    entries = ", ".join(f"library:{name}" for name in names)
    for file in first.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "more.yaml").write_text(f"version: 1\nuse: [{entries}]\n")
    return read_policies(folder)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_of_the_library_works_right_after_init(name: str, first: Path, tmp_path: Path) -> None:
    """It loads with the people and approvals of the first policy, and takes whoever knows nothing of it to be asked."""
    judged = using(first, tmp_path, name)

    assert judged.document.tools.keys() > {"*"}
    assert judge(judged, "nobody_ever_listed_this").effect == "ask"


def test_all_files_of_the_library_go_together(first: Path, tmp_path: Path) -> None:
    """No two speak for one tool with the same right."""
    assert using(first, tmp_path, *FAMILIES).version


@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_of_the_library_has_cases_and_attacks(name: str) -> None:
    """Fifteen cases at least, five of them attacks."""
    file = LIBRARY / f"{name}.cases.yaml"

    cases = read_cases(Source(file=file.name, text=file.read_text("utf-8")))

    assert len(cases) >= 15
    assert sum(case.name.startswith("attack:") for case, _ in cases) >= 5


@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_of_the_library_says_the_same_alone(name: str, first: Path, tmp_path: Path) -> None:
    """Its attacks are stopped where it is the only file taken in, beside none of the others."""
    judged = using(first, tmp_path, name)
    file = LIBRARY / f"{name}.cases.yaml"

    results = run_cases(judged, [Source(file=file.name, text=file.read_text("utf-8"))])

    assert [each.name for each in results if each.name.startswith("attack:") and each.verdict.effect == "allow"] == []


@pytest.mark.parametrize("name", FAMILIES)
def test_the_documentation_tells_of_a_file_of_the_library(name: str) -> None:
    """Its row says for which tools it is."""
    assert f"| `library:{name}` |" in (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
