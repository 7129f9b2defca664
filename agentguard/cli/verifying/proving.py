"""What came of trying a clause."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from enum import StrEnum

from agentguard.cli.verifying.clauses import VERIFIERS, Present
from agentguard.cli.verifying.proof import NotApplicable, Proof
from agentguard.cli.verifying.trials import Ground
from agentguard.errors import AgentGuardError
from agentguard.model.problems import Place
from agentguard.model.record import Record

AT_ONCE = 6
"""How many clauses are tried at a time."""


class Outcome(StrEnum):
    """Whether a clause is enforced."""

    ENFORCED = "enforced"
    NOT_ENFORCED = "NOT ENFORCED"
    NOT_APPLICABLE = "not applicable"


class Verified(Record):
    """A clause, what came of it, and in words what its calls did or why there was none."""

    outcome: Outcome
    clause: str
    place: Place
    told: str


async def verified(ground: Ground, clauses: Iterable[Present]) -> AsyncIterator[Verified]:
    """Each clause tried, some at a time, in their order."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def tried(clause: Present) -> Verified:
        async with at_once:
            outcome, told = await _tried(ground, clause)
        return Verified(outcome=outcome, clause=clause.name, place=clause.place, told=told)

    async with asyncio.TaskGroup() as group:
        for task in [group.create_task(tried(clause)) for clause in clauses]:
            yield await task


async def _tried(ground: Ground, clause: Present) -> tuple[Outcome, str]:
    verify = VERIFIERS.get(clause.key)
    if verify is None:
        return Outcome.NOT_ENFORCED, "nothing here verifies it"
    try:
        proof: Proof = await verify(ground, clause)
    except NotApplicable as reason:
        return Outcome.NOT_APPLICABLE, str(reason)
    except (AgentGuardError, TimeoutError) as error:
        return Outcome.NOT_ENFORCED, f"trying it failed ({type(error).__name__}: {error})"
    if proof.holds and proof.spares:
        return Outcome.ENFORCED, proof.told
    wrong = (
        "a call that it is about passed as if it weren't there"
        if not proof.holds
        else "a call that it is not about met it"
    )
    return Outcome.NOT_ENFORCED, f"{wrong} ({proof.told})"
