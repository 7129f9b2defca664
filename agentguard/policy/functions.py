"""The functions that conditions may call besides those of CEL.

Rules:
- pure and bounded: the same arguments always give the same, and no text makes one run for long;
- what can't be told is an error, never a guess; a condition that fails counts as met;
- what a function needs is imported when a condition that calls it is compiled, not before;
- `user_wrote` and `came_from` know the session of the call that is judged, and are handed to it anew for each call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from cel_expr_python import cel

from agentguard.model.provenance import Provenance

TEXT, ANY = cel.Type.STRING, cel.Type.DYN
TEXTS = cel.Type.List(TEXT)
_MAPS = cel.Type.List(cel.Type.Map(TEXT, ANY))


@dataclass(frozen=True)
class Function:
    """A function of conditions: how it is called, and where it is implemented; nowhere: it knows the session (`of_session`)."""

    usage: str
    module: str | None
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
            cel.Overload(
                f"{self.name}_{len(types)}",
                self.gives,
                list(types),
                is_member=False,
                impl=call if self.module else None,
            )
            for types in self.takes
        ]
        return cel.FunctionDecl(self.name, overloads)


FUNCTIONS = (
    Function("amount(x)", "amounts", ANY, ((ANY,),)),
    Function("came_from(x)", None, TEXTS, ((ANY,),)),
    Function("domain(text)", "domains", TEXT, ((TEXT,),)),
    Function("host_in(url, hosts)", "hosts", cel.Type.BOOL, ((TEXT, TEXTS),)),
    Function("ip_in(ip, network)", "hosts", cel.Type.BOOL, ((TEXT, TEXT),)),
    Function("links(text)", "links", TEXTS, ((TEXT,),)),
    Function("path_under(path, folder)", "file_paths", cel.Type.BOOL, ((TEXT, TEXT),)),
    Function("shell_commands(text)", "shell_text", _MAPS, ((TEXT,),)),
    Function("sql_statements(text)", "sql_text", _MAPS, ((TEXT,), (TEXT, TEXT))),
    Function("user_wrote(x)", None, cel.Type.BOOL, ((ANY,),)),
)
_VALUES = (TEXT, cel.Type.INT, cel.Type.DOUBLE, cel.Type.LIST)
"""What a value may be whose provenance is asked for; anything else is an error."""


def extension(*, without: str = "") -> cel.CelExtension:
    """All functions but one, for an environment of CEL."""
    return cel.CelExtension("agentguard", [each.declared() for each in FUNCTIONS if each.name != without])


def of_session(provenance: Provenance) -> list[cel.Function]:
    """The functions that know the session of the call that is judged."""

    def user_wrote(value: object) -> bool:
        return all(map(provenance.user_wrote, _each(value)))

    def came_from(value: object) -> list[str]:
        return sorted({tool for each in _each(value) for tool in provenance.came_from(each)})

    functions = (("user_wrote", user_wrote, cel.Type.BOOL), ("came_from", came_from, TEXTS))
    return [
        cel.Function(name, [kind], is_member=False, impl=function, return_type=gives)
        for name, function, gives in functions
        for kind in _VALUES
    ]


def load_called(text: str, functions: Iterable[Function] = FUNCTIONS) -> None:
    """Import what the functions need that a condition may call."""
    for function in functions:
        if function.module and re.search(rf"\b{function.name}\s*\(", text):
            _ = function.implementation


def _each(value: object) -> Iterator[str | int | float]:
    """The values in a value: of a list all, however deep."""
    if isinstance(value, (list, tuple)):
        for inner in value:
            yield from _each(inner)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield value
    else:
        raise ValueError("no value that somebody could have written")  # noqa: TRY004 - CEL knows no TypeError
