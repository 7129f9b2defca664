"""The functions that conditions may call besides those of CEL.

Rules:
- pure and bounded: the same arguments always give the same, and no text makes one run for long;
- what can't be told is an error, never a guess; a condition that fails counts as met;
- what a function needs is imported when a condition that calls it is compiled, not before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from cel_expr_python import cel

TEXT, ANY = cel.Type.STRING, cel.Type.DYN
TEXTS = cel.Type.List(TEXT)
_MAPS = cel.Type.List(cel.Type.Map(TEXT, ANY))


@dataclass(frozen=True)
class Function:
    """A function of conditions: how it is called, and where it is implemented."""

    usage: str
    module: str
    gives: cel.Type
    takes: tuple[tuple[cel.Type, ...], ...]
    """The types of its arguments, in each of the ways that it can be called."""

    @property
    def name(self) -> str:
        """What conditions call it by."""
        return self.usage.partition("(")[0]

    @cached_property
    def implementation(self) -> Callable[..., Any]:
        """The function itself; its module is imported now."""
        found: Callable[..., Any] = getattr(import_module(f"agentguard.policy.{self.module}"), self.name)
        return found

    def declared(self) -> cel.FunctionDecl:
        """As CEL is told of it."""

        def call(*arguments: object) -> Any:
            return self.implementation(*arguments)

        overloads = [
            cel.Overload(f"{self.name}_{len(types)}", self.gives, list(types), is_member=False, impl=call)
            for types in self.takes
        ]
        return cel.FunctionDecl(self.name, overloads)


FUNCTIONS = (
    Function("amount(x)", "amounts", ANY, ((ANY,),)),
    Function("domain(text)", "domains", TEXT, ((TEXT,),)),
    Function("host_in(url, hosts)", "hosts", cel.Type.BOOL, ((TEXT, TEXTS),)),
    Function("ip_in(ip, network)", "hosts", cel.Type.BOOL, ((TEXT, TEXT),)),
    Function("path_under(path, folder)", "file_paths", cel.Type.BOOL, ((TEXT, TEXT),)),
    Function("shell_commands(text)", "shell_text", _MAPS, ((TEXT,),)),
    Function("sql_statements(text)", "sql_text", _MAPS, ((TEXT,), (TEXT, TEXT))),
)


def extension() -> cel.CelExtension:
    """All functions, for an environment of CEL."""
    return cel.CelExtension("agentguard", [function.declared() for function in FUNCTIONS])


def load_called(text: str, functions: Iterable[Function] = FUNCTIONS) -> None:
    """Import what the functions need that a condition may call."""
    for function in functions:
        if re.search(rf"\b{function.name}\s*\(", text):
            _ = function.implementation
