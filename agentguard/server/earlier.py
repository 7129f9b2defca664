"""What a session did before: each of its calls as the journal has it, also those that policy simply allowed, and how each ended.

Rules:
- masked, as the journal is; a line that can't be read is left out here, and told by the page of the journal;
- it looks back a day from the request, and gives the newest calls: what lies before is said, not shown;
- where the journal lies on another machine, that is what is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic_core import to_json

from agentguard.audit import read
from agentguard.audit.reading import Entry
from agentguard.cards import Block, Line
from agentguard.model.calls import Principal
from agentguard.model.record import Record

LOOKED_BACK_MS = 24 * 3600 * 1000
CALLS_SHOWN = 50
LINES_READ_MAX = 20_000
"""Lines of one session; a day of it mostly has fewer."""

ELSEWHERE = "Calls that policy allowed stand in the journal, which is not on this machine"

Effect = Literal["allowed", "asked", "denied"]
_EFFECTS: dict[str, Effect] = {"allow": "allowed", "ask": "asked", "deny": "denied"}
_ENDS = {
    "done": "ran",
    "failed": "may have run: it ended in an error",
    "unknown": "may have run",
    "cancelled": "may have run: it was cancelled",
}


class EarlierCall(Record):
    """One call. `became`: how it ended, empty while nobody knows; `request`: where people were asked."""

    time_ms: int
    tool: Line
    arguments: Block
    effect: Effect
    became: Line = ""
    request: Line = ""
    brought: tuple[Line, ...] = ()


class Earlier(Record):
    """The calls of a session, the newest first. `told`: what is not among them."""

    calls: tuple[EarlierCall, ...] = ()
    told: Line


def earlier_calls(directory: Path, principal: Principal, before_ms: int) -> Earlier:
    """What this principal's session did until then, by the journal in a folder. Reads files."""
    if not directory.is_dir():
        return Earlier(told=ELSEWHERE)
    try:
        lines = read(directory, before_ms - LOOKED_BACK_MS, holding=b'"session":' + to_json(principal.session))
        own = deque((entry for entry in lines if _is_of(entry, principal, before_ms)), maxlen=LINES_READ_MAX)
    except OSError:
        return Earlier(told="The journal on this machine can't be read by this server")
    calls = list(_calls(own))
    left = len(calls) - CALLS_SHOWN
    older = f"; {left} older ones are in the journal" if left > 0 else ""
    return Earlier(
        calls=tuple(calls[-CALLS_SHOWN:][::-1]), told=f"As the journal of this machine has it, for a day before{older}"
    )


def _is_of(entry: Entry, principal: Principal, before_ms: int) -> bool:
    whose = entry.body.get("principal")
    if not isinstance(whose, dict) or entry.time_ms > before_ms:
        return False
    return all(whose.get(name) == getattr(principal, name) for name in ("tenant", "session", "user", "agent"))


def _calls(entries: Iterable[Entry]) -> Iterator[EarlierCall]:
    """Each verdict, with what became of its call: the later lines with its id, or without one the later lines of its tool."""
    drafts: list[dict[str, Any]] = []
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        key = (str(entry.body.get("tool", "")), str(entry.body.get("call_id") or ""))
        if entry.kind == "judged":
            newest[key] = _judged(entry)
            drafts.append(newest[key])
        elif key in newest:
            newest[key].update(_became(entry))
    return (EarlierCall(**draft) for draft in drafts)


def _judged(entry: Entry) -> dict[str, Any]:
    return {
        "time_ms": entry.time_ms,
        "tool": str(entry.body.get("tool", "")),
        "arguments": str(entry.body.get("arguments", "")),
        "effect": _EFFECTS.get(str(entry.body.get("effect")), "denied"),
    }


def _became(entry: Entry) -> dict[str, Any]:
    """What a later line says of a call."""
    match entry.kind:
        case "asked":
            return {"request": str(entry.body.get("request") or "")}
        case "refused":
            return {"became": f"did not run: {entry.body.get('reason', '')}"}
        case "settled":
            brought = entry.body.get("labels_added") or ()
            ended = _ENDS.get(str(entry.body.get("outcome")), "may have run")
            return {"became": ended, "brought": tuple(map(str, brought))}
        case _:
            return {}
