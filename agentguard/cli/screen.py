"""What commands print, and where: answers on stdout, complaints on stderr, never markup made of somebody else's text."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)


def say(text: str, style: str = "") -> None:
    """One line (or several) of answer; `text` is shown as it is."""
    out.print(Text(text, style=style))


def complain(text: str) -> None:
    """What is wrong, on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text.assemble(("error: ", "bold red"), text))


def note(text: str) -> None:
    """Something besides the answer, on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(text))


def say_json(value: Any) -> None:
    """The answer for programs: one JSON document a line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
