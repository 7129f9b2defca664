"""Which writers go on under an older policy, because the files that were changed since do not load."""

from __future__ import annotations

from collections.abc import Iterable

from agentguard.audit.reading import Entry
from agentguard.model.events import Opened, Reloaded
from agentguard.model.record import Record


class Keeping(Record):
    """A writer that keeps the last good policy: its process, that policy, since when, and why."""

    pid: int
    policy_version: str
    since_ms: int
    problems: tuple[str, ...]


def keeping(entries: Iterable[Entry]) -> tuple[Keeping, ...]:
    """Those that had not closed, nor taken anything in since, by the end of these entries."""
    pids: dict[str, int] = {}
    kept: dict[str, Keeping] = {}
    for entry in entries:
        match entry.kind:
            case "opened":
                pids[entry.writer] = Opened.model_validate(entry.body, strict=False).pid
            case "closed":
                kept.pop(entry.writer, None)
            case "reloaded":
                said = Reloaded.model_validate(entry.body, strict=False)
                kept.pop(entry.writer, None)
                if said.outcome == "refused":
                    kept[entry.writer] = Keeping(
                        pid=pids.get(entry.writer, 0),
                        policy_version=said.policy_version,
                        since_ms=entry.time_ms,
                        problems=said.problems,
                    )
    return tuple(kept.values())
