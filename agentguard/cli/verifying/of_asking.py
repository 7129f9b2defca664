"""Verifies how much one agent may ask of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.cli.verifying.alone import QUIET, base
from agentguard.cli.verifying.proof import Proof
from agentguard.cli.verifying.trials import Ground, Observed, Trial, member
from agentguard.model.approvals import Decision
from agentguard.model.record import Json
from agentguard.policy.approvals_section import AskingSection

if TYPE_CHECKING:
    from agentguard.cli.verifying.clauses import Present

_TOOL = "verify_asks"
_GROUP = "verify"
_FEW = 2
"""So many are tried in place of a larger number, which takes the same way."""
_SLACK_MS = 60_000


async def pending(ground: Ground, clause: Present) -> Proof:
    """Of so many that may wait, one more asks nobody."""
    async with ground.trial(_asked(clause, pending=_FEW)) as trial:
        *first, last = [await _call(trial, number) for number in range(_FEW + 1)]
    return _refused(first, last, f"one more than may wait is refused ({clause.value} here, tried with {_FEW})")


async def per_minute(ground: Ground, clause: Present) -> Proof:
    """Of so many in a minute, one more asks nobody."""
    async with ground.trial(_asked(clause, per_minute=_FEW)) as trial:
        *first, last = [await _call(trial, number) for number in range(_FEW + 1)]
    return _refused(first, last, f"one more in a minute is refused ({clause.value} here, tried with {_FEW})")


async def pause(ground: Ground, clause: Present) -> Proof:
    """An agent that asked too often asks nobody for so long."""
    owner: AskingSection = clause.owner
    async with ground.trial(_asked(clause, per_minute=1, pause=owner.pause)) as trial:
        first = await _call(trial, 1)
        before = await _paused_until(trial)
        await _call(trial, 2)
        until = await _paused_until(trial)
        left = until - trial.desk.channel.clock.now_ms()
    return Proof(
        holds=abs(left - owner.pause_ms) < _SLACK_MS and until > 0,
        spares=before == 0 and first.stored is not None,
        told=f"paused for {owner.pause}, once it asked too often",
    )


async def after_rejection(ground: Ground, clause: Present) -> Proof:
    """The same call again is refused with the person's no; another one asks."""
    owner: AskingSection = clause.owner
    async with ground.trial(_asked(clause, after_rejection=owner.after_rejection)) as trial:
        seen = await _call(trial, 1)
        await trial.vote(seen, member(_GROUP, 0), Decision.REJECT)
        await trial.end(seen)
        again = await _call(trial, 1)
        other = await _call(trial, 2)
    return Proof(
        holds=again.refused.startswith("rejected") and not again.ran,
        spares=other.stored is not None,
        told="the same call is refused without asking; another one asks",
    )


async def _call(trial: Trial, number: int) -> Observed:
    """One call, in a session of its own for each number."""
    return await trial.call(_TOOL, {"number": number}, session=f"s{number}")


def _refused(first: list[Observed], last: Observed, told: str) -> Proof:
    return Proof(
        holds=last.refused.startswith("asked too much") and not last.ran,
        spares=all(each.stored is not None for each in first),
        told=told,
    )


async def _paused_until(trial: Trial) -> int:
    channel = trial.desk.channel
    await channel.learn_time()
    found = await channel.connection.execute("GET", channel.names.paused(trial.guard.principals.agent))
    return 0 if found is None else int(found)


def _asked(clause: Present, **asking: Json) -> dict[str, Json]:
    """A tool that a made-up group is asked about."""
    approvals: Json = {_GROUP: {"approvers": [f"group:{_GROUP}"], "deadline": "10m"}}
    tools: Json = {_TOOL: {**QUIET, "ask": _GROUP}}
    return base(clause.document, tools=tools, approvals=approvals, asking=asking)
