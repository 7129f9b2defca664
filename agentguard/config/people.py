"""Today's people: approvers.yaml as it lies now, read again when it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from agentguard.approval import Roster
from agentguard.config.files import APPROVERS, SIGNATURE, read_roster, read_signed_roster
from agentguard.config.fresh import Fresh


def people_of(policies: Path, keys: Sequence[str] = ()) -> Callable[[], Roster]:
    """Gives the people beside a policy, signed by one of these keys where there are any. What it gives raises ConfigurationError.

    Where a command tells who is in a group it reads each time, since an answer lapses though no file changes.
    """
    folder = policies.parent if policies.is_file() else policies

    def read() -> Roster:
        return read_signed_roster(policies, keys) if keys else read_roster(policies)

    fresh = Fresh(paths=(folder / APPROVERS, folder / SIGNATURE), read=read)

    def now() -> Roster:
        roster = fresh()
        return read() if roster.rotas else roster

    return now
