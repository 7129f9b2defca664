"""How well `agentguard policy init` tells tools that have an effect from those that only read, from name, description and schema alone.

Over a list labelled by hand before the classifier was written (`labelled_tools`): half of it for working on it, half held out. Beside it
the tools of AgentDojo's suites, where that data set lies beside the project.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from agentguard.model.listings import Listing
from agentguard.model.verdicts import Risk
from agentguard.policy.proposing import propose
from benchmarks.labelled_tools import Labelled, labelled

GOAL_EFFECTS, GOAL_READING = 0.99, 0.80
SUITES = Path(__file__).resolve().parents[2] / "shared" / "data" / "agentdojo" / "suites.json"
WRITING = "add append cancel create delete reschedule schedule send share update".split()
"""How the tools of these suites that write are named; all others read."""


def main() -> int:
    """Print both figures for each list; 1 where the held-out half misses a goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wrong", action="store_true", help="list what is wrong in the half for working")
    wanted = parser.parse_args()
    tools = labelled()
    halves = {
        "for working": [each for each in tools if not each.held_out],
        "held out": [each for each in tools if each.held_out],
    }
    for name, half in halves.items():
        effects, reading = _told(name, half)
    if SUITES.exists():
        _told("AgentDojo's suites", _suites())
    else:
        print("AgentDojo's suites are not here")
    if wanted.wrong:
        for each in halves["for working"]:
            proposal = propose(each.listing)
            if (proposal.risk is Risk.LOW) is each.has_effect:
                print(f"  {each.listing.name}: {proposal.risk}, {proposal.why}")
    return 0 if effects >= GOAL_EFFECTS and reading >= GOAL_READING else 1


def _told(name: str, tools: Sequence[Labelled]) -> tuple[float, float]:
    low = [each for each in tools if propose(each.listing).risk is Risk.LOW]
    acting = sum(each.has_effect for each in tools)
    found = acting - sum(each.has_effect for each in low)
    left = sum(not each.has_effect for each in low)
    print(
        f"{name}: {found} of {acting} tools with effects found ({found / acting:.1%}, goal {GOAL_EFFECTS:.0%}), "
        f"{left} of {len(tools) - acting} reading ones left low ({left / (len(tools) - acting):.1%}, goal {GOAL_READING:.0%})"
    )
    return found / acting, left / (len(tools) - acting)


def _suites() -> list[Labelled]:
    suites = json.loads(SUITES.read_text(encoding="utf-8"))["suites"]
    return [
        Labelled(
            Listing(name=tool["name"], description=tool["description"], input_schema=tool["parameters"]),
            tool["name"].split("_")[0] in WRITING,
        )
        for suite in suites.values()
        for tool in suite["tools"]
    ]


if __name__ == "__main__":
    sys.exit(main())
