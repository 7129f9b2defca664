"""`agentguard policy init`: pins for tools, and a first policy that classifies each of them, for a person to edit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from agentguard.cli import init as first
from agentguard.cli import pin
from agentguard.cli.listing import Files, Modules, Servers, listings
from agentguard.cli.screen import say
from agentguard.config import lock_file, read_library, read_pins
from agentguard.errors import ConfigurationError, PolicyError
from agentguard.model.listings import Listing
from agentguard.model.verdicts import Risk
from agentguard.policy import pin as pin_of
from agentguard.policy.layout import ROOT
from agentguard.policy.proposing import Proposal, propose, roles_of

NAME = "tools.yaml"

_HEAD = """\
# Proposed by `agentguard policy init` from what each tool says of itself. Read every line, then correct it: a tool that says nothing of
# what it does may do it all the same. Whatever may have an effect is high or critical here; low is only what plainly reads.
# Results count as `untrusted` until you say what they hold: labels: [customer-data], or [] for nothing from outside.
version: 1
tools:
"""


def init(
    path: Annotated[Path, typer.Argument(help="A folder for the policy; made where it is not there.")],
    mcp: Servers = None,
    tools: Modules = None,
    json_file: Files = None,
) -> None:
    """Pin the tools of these sources, and propose a policy for them: each with a risk, and why. Overwrites nothing."""
    found = listings(mcp, tools, json_file)
    pin.refuse(found)
    if not (path / ROOT).exists():
        first.init(path)
    risks = classify(path, found)
    count = risks.total()
    say(f"wrote {path / NAME}: {count} tools, " + in_words(risks))
    if count < len(found):
        say(f"left out {len(found) - count} that the policy lists already")
    say(f"wrote {lock_file(path)}; next: read {path / NAME} line by line, then agentguard policy lint {path}")


def classify(path: Path, found: Sequence[Listing]) -> Counter[Risk]:
    """Pin these tools and propose a risk for each that a policy does not list; how many got which. Raises ConfigurationError."""
    written = path / NAME
    if written.exists():
        raise ConfigurationError(f"{written} is there already; edit it, and renew the pins: agentguard policy pin")
    listed = read_library(path).document.tools
    new = [tool for tool in found if tool.name not in listed]
    if not new:
        raise ConfigurationError(f"the policy lists all of these tools; renew their pins: agentguard policy pin {path}")
    proposals = [(tool, propose(tool)) for tool in new]
    _write(path, written, proposals, found)
    return Counter(proposal.risk for _, proposal in proposals)


def in_words(risks: Mapping[Risk, int]) -> str:
    """How many tools have which risk."""
    return ", ".join(f"{risks[risk]} {risk}" for risk in Risk if risks.get(risk))


def _write(path: Path, written: Path, proposals: Sequence[tuple[Listing, Proposal]], found: Sequence[Listing]) -> None:
    """Write policy and pins, and take both back where they don't load together."""
    lock = lock_file(path)
    before = lock.read_text(encoding="utf-8") if lock.exists() else None
    pins = read_pins(path) if before is not None else None
    kept = dict(pins.tools) if pins is not None else {}
    written.write_text(draft(proposals), encoding="utf-8")
    pin.write(path, {**kept, **{tool.name: pin_of(tool) for tool in found}})
    try:
        read_library(path)
    except PolicyError:
        written.unlink()
        if before is None:
            lock.unlink()
        else:
            lock.write_text(before, encoding="utf-8")
        raise


def draft(proposals: Sequence[tuple[Listing, Proposal]]) -> str:
    """The text of a file that says of each tool what is proposed, and why."""
    return _HEAD + "".join(line for tool, proposal in proposals for line in _lines(tool, proposal))


def _lines(tool: Listing, proposal: Proposal) -> Iterator[str]:
    roles = roles_of(tool)
    params = ", ".join(f"{role}: [{', '.join(map(json.dumps, paths))}]" for role, paths in roles.items())
    terms = f"{{risk: {proposal.risk}, params: {{{params}}}}}" if params else f"{proposal.risk}"
    yield f"  # {proposal.why}\n"
    yield f"  {json.dumps(tool.name)}: {terms}\n"
