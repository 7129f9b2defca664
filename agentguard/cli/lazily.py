"""Groups of commands whose modules are imported once one of them is run: a list of what there is costs no import.

What the list says of a command stands beside its home, so it is written twice; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

Homes = Mapping[str, tuple[str, str]]
"""By a command's name: `module:name` of its function or group, and its line in the list."""


def lazily(homes: Homes) -> type[TyperGroup]:
    """A group that has these commands, after those that are registered with it."""

    class Lazily(TyperGroup):
        def __init__(self, **terms: Any) -> None:
            super().__init__(**terms)
            self.commands = _Commands(dict(self.commands), homes)

        def list_commands(self, ctx: Any) -> list[str]:
            return list(self.commands)

        def format_help(self, ctx: Any, formatter: Any) -> None:
            listed = TyperGroup(
                name=self.name, params=self.params, help=self.help, commands=self.listed(), epilog=self.epilog
            )
            listed.format_help(ctx, formatter)

        def listed(self) -> dict[str, Any]:
            """The commands as the list shows them, none of them imported for it."""
            return {
                name: TyperCommand(name=name, help=homes[name][1]) if name in homes else self.commands[name]
                for name in self.commands
            }

    return Lazily


class _Commands(MutableMapping[str, Any]):
    """Commands by name, each made from its home when somebody looks at it."""

    def __init__(self, made: dict[str, Any], homes: Homes) -> None:
        self._made, self._homes = made, homes

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _command(name, self._homes[name][0])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._made, *self._homes)))

    def __len__(self) -> int:
        return len(set(self._made) | set(self._homes))

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]


def _command(name: str, home: str) -> Any:
    module, _, attribute = home.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        command: Any = get_group(found)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        command = get_command(alone)
    command.name = name
    return command
