"""The demo's screen: what the tool got and returned beside what the model saw, readable at a glance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from agentguard.cli.screen import out, say
from agentguard.masking import visible

_PLACEHOLDER = r"\[[A-Z]+_[0-9a-z]{10}\]"

SHOWN = 420
"""Characters of one cell; the rest is counted."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One call: the model's arguments and the text it got back; inside the tool, if it ran, what it got and returned."""

    number: int
    tool: str
    asked: dict[str, Any]
    saw: str
    got: dict[str, Any] | None
    returned: str | None
    refused: bool


def print_row(row: Row) -> None:
    """One call, side by side."""
    style = "red" if row.refused else "green"
    table = Table(
        box=box.ROUNDED,
        title=f" {row.number}. {row.tool} ",
        title_justify="left",
        title_style=f"bold {style}",
        border_style="dim",
        expand=True,
        show_lines=True,
    )
    table.add_column("", width=6, no_wrap=True, style="dim")
    table.add_column("the model's side (masked)", ratio=1, overflow="fold")
    table.add_column("the tool's side (in clear)", ratio=1, overflow="fold")
    table.add_row("call", _cell(json.dumps(row.asked)), _cell(json.dumps(row.got) if row.got is not None else None))
    table.add_row("result", _cell(row.saw, style if row.refused else ""), _cell(row.returned))
    out.print(table, soft_wrap=False)


def print_checks(checks: list[tuple[str, bool]]) -> None:
    """What the demo claims, and whether it held."""
    for claim, held in checks:
        say(f" {'ok  ' if held else 'FAIL'} {claim}", style="green" if held else "bold red")


def _cell(text: str | None, style: str = "") -> Text:
    if text is None:
        return Text("did not run", style="dim italic")
    shown = visible(text)
    cut = f" ... {len(shown) - SHOWN} more characters" if len(shown) > SHOWN else ""
    written = Text.assemble((shown[:SHOWN], style), (cut, "dim"))
    written.highlight_regex(_PLACEHOLDER, "bold cyan")
    return written
