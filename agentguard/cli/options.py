"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Policies = Annotated[
    Path,
    typer.Option("--policies", envvar="AGENTGUARD_POLICIES", help="The folder with policy.yaml and approvers.yaml."),
]
DEFAULT_FOLDER = Path("tool_policies")
"""That folder, where nobody says which."""

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant whose requests and records are meant.")]
Name = Annotated[str | None, typer.Option("--as", help="Who you are in approvers.yaml, where you have several keys.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
