"""The modules that may be compiled: that they mean the same when they are, and that what runs is what is written."""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import agentguard

ROOT = Path(__file__).parents[1]
PACKAGE = Path(agentguard.__file__).parent
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"][
    "mypyc"
]
COMPILED = bool(os.environ.get("ALL_COMPILED"))
"""Set by `make test-compiled`."""


def _matched(patterns: list[str]) -> set[Path]:
    return {path for pattern in patterns for path in PACKAGE.parent.glob(pattern.removeprefix("/"))}


MODULES = sorted(
    path.relative_to(PACKAGE.parent)
    for path in _matched(HOOK["include"]) - _matched([f"agentguard/**/{name}" for name in HOOK["exclude"]])
)
"""Sources lie beside the compiled modules in a wheel too, so that errors show them."""


@pytest.mark.parametrize("pattern", HOOK["include"])
def test_each_pattern_still_names_modules(pattern: str) -> None:
    """What was renamed or moved would be left out without a word."""
    assert _matched([pattern])


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_nothing_in_them_means_something_else_when_compiled(module: Path) -> None:
    """An error keeps what it was raised in, whatever `from` says; coroutines, weak references and cached properties are not there."""
    found = [f"{module}:{line}: {what}" for line, what in _other_when_compiled((PACKAGE.parent / module).read_text())]
    assert found == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("raise ValueError('x') from None", "raise ... from"),
        ("async def f() -> None: ...", "coroutine"),
        ("from weakref import ref", "weakref"),
        ("from functools import cached_property", "cached_property"),
        ("class A(B):\n    names = frozenset({1})", "class attribute made by a call"),
    ],
)
def test_each_of_these_is_noticed(source: str, what: str) -> None:
    """The test above can fail."""
    assert [each for _, each in _other_when_compiled(source)] == [what]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_what_runs_is_what_was_asked_for(module: Path) -> None:
    """No compiled module stands beside a source that has changed since, and none is missing where all are wanted."""
    loaded = import_module(".".join(module.with_suffix("").parts))
    assert str(loaded.__file__).endswith(tuple(EXTENSION_SUFFIXES) if COMPILED else ".py")


def _other_when_compiled(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        for holds, what in _OTHERS:
            yield from [(line, what) for line in holds(node)]


def _raised_from(node: ast.AST) -> list[int]:
    return [node.lineno] if isinstance(node, ast.Raise) and node.cause is not None else []


def _coroutine(node: ast.AST) -> list[int]:
    return [node.lineno] if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith) else []


def _imported(name: str) -> Callable[[ast.AST], list[int]]:
    def holds(node: ast.AST) -> list[int]:
        if isinstance(node, ast.ImportFrom):
            return [node.lineno] if name in {node.module, *(each.name for each in node.names)} else []
        return [node.lineno] if isinstance(node, ast.Import) and name in {each.name for each in node.names} else []

    return holds


def _made_by_a_call(node: ast.AST) -> list[int]:
    """Not where it says ClassVar: else each object is to have one of its own, and has none."""
    if not isinstance(node, ast.ClassDef):
        return []
    return [each.lineno for each in node.body if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call)]


_OTHERS: Sequence[tuple[Callable[[ast.AST], list[int]], str]] = (
    (_raised_from, "raise ... from"),
    (_coroutine, "coroutine"),
    (_imported("weakref"), "weakref"),
    (_imported("cached_property"), "cached_property"),
    (_made_by_a_call, "class attribute made by a call"),
)
