"""`agentguard mask`: what the model would see."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from agentguard.cli.screen import say
from agentguard.config import masker_of, read_library
from agentguard.errors import ConfigurationError
from agentguard.masking import Masker, TokenIds


def mask(
    file: Annotated[Path, typer.Argument(help="A file of text or JSON; - reads standard input.")],
    policies: Annotated[
        Path | None, typer.Option("--policies", help="Use the masking section of this folder's policy.yaml.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="List what was found, and what spoke for and against it; without the values."),
    ] = False,
) -> None:
    """Print FILE as the model would see it. Nothing is stored; the tokens are those of a made-up session."""
    text = _read(file)
    masker = masker_of(read_library(policies)) if policies else Masker()
    masked = masker.mask(text, TokenIds((bytes(32),), "mask", "command line"))
    if explain:
        for finding, outcome, evidence in masker.explain(text):
            span = f"{finding.start}-{finding.end}"
            say(f"{span:<9}  {finding.entity_type}  {finding.score:.2f} by {finding.detector}: {outcome}")
            for each in evidence:
                say(f"{'':<9}  {each}")
        say(json.dumps(dict(masked.entities), sort_keys=True))
        return
    sys.stdout.write(masked.value if masked.value.endswith("\n") else masked.value + "\n")


def _read(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode()
    except OSError as error:
        raise ConfigurationError(
            f"{file}: {error.strerror}; name a file of text or JSON, or - for standard input"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 text (byte {error.start}); convert it first") from None
