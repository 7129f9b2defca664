"""`agentguard policy schema`: JSON Schemas for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agentguard.cli.screen import say
from agentguard.config.schemas import Kind, schema_of
from agentguard.errors import ConfigurationError


def schema(
    kind: Annotated[Kind, typer.Argument(help="Which file: policy.yaml, one beside it, cases, or approvers.yaml.")] = (
        Kind.POLICY
    ),
    to: Annotated[
        Path | None, typer.Option("--to", help="Write the schemas of all kinds of files into this folder instead.")
    ] = None,
) -> None:
    """Print the JSON Schema of a file, so that editors complete it."""
    if to is None:
        say(_text(kind))
        return
    try:
        to.mkdir(parents=True, exist_ok=True)
        for each in Kind:
            (to / f"{each}.schema.json").write_text(_text(each) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{to}: can't be written ({type(error).__name__}); give another folder") from None
    say(f"wrote {', '.join(f'{each}.schema.json' for each in Kind)} into {to}")


def _text(kind: Kind) -> str:
    return json.dumps(schema_of(kind), indent=2, ensure_ascii=False)
