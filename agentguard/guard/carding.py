"""The card of a call: what people are shown, computed here and masked for them.

Rules:
- the guard's own facts, the user's words and the agent's words stand in fields of their own, each masked and with nothing invisible;
- what is unusual is worked out from the real values, and says none of them but usual amounts;
- what people approved is learned after they did; where that fails the call goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from agentguard.errors import GuardUnavailable
from agentguard.guard.in_force import InForce
from agentguard.guard.judging import Judgement
from agentguard.guard.link import Link
from agentguard.guard.oddities import Looked, oddities
from agentguard.guard.revealing import Restored
from agentguard.guard.snapshot import Snapshot
from agentguard.guard.tokens import TokenBook
from agentguard.guard.words import CallWords
from agentguard.model.approvals import Card
from agentguard.model.calls import Principal, ToolCall
from agentguard.model.canonical import canonical_json
from agentguard.model.provenance import PlainProvenance
from agentguard.model.record import Json
from agentguard.model.verdicts import Clause
from agentguard.policy import Policy, role_values
from agentguard.session import Habits, Traits, Usual
from agentguard.store.background import Background

_RECIPIENTS = ("recipient", "url")
"""Roles of where something goes."""

_log = logging.getLogger("agentguard.guard")


@dataclass(frozen=True, kw_only=True)
class Carding:
    """Makes cards. Each coroutine raises GuardUnavailable unless it says otherwise."""

    tokens: TokenBook
    habits: Habits
    background: Background
    link: Link
    deployment: str

    async def card(
        self,
        rules: InForce,
        call: ToolCall,
        principal: Principal,
        snapshot: Snapshot,
        restored: Restored,
        judged: Judgement,
        asked: str,
    ) -> Card:
        """What people are shown of a call."""
        policy, masker = rules.policy, rules.masker
        arguments, terms = snapshot.arguments, policy.terms(call.tool)
        known = self.tokens.ids(principal).known
        shown = masker.for_people(restored.veil(snapshot.shown), shown=restored.tokens, known=known)
        values = {name: tuple(role_values({"it": value}, ["it"])) for name, value in arguments.items()}
        wrote = {name: _user_wrote(given, judged.words, asked) for name, given in values.items()}
        origins = self._origins(call, principal, restored, values, judged.words)
        origins = {name: (*(("user",) if wrote[name] else ()), *origins[name]) for name in values}
        origins = {name: where for name, where in origins.items() if where}
        traits = traits_of(policy, call.tool, arguments)
        labels, usual = await self.background.hop(lambda: self._look(principal, traits))
        looked = Looked(
            tool=call.tool,
            values=values,
            recipients=traits.recipients,
            amounts=traits.amounts,
            origins=origins,
            unsaid={path for path in traits.recipients if wrote.get(path.partition(".")[0]) is False},
            labels=labels,
            usual=usual,
        )
        return Card(
            title=policy.title(call.tool, shown),
            tool=call.tool,
            agent=principal.agent,
            user=principal.user,
            session=principal.session,
            risk=judged.verdict.risk.value,
            reasons=tuple(_sentence(clause) for clause in judged.verdict.clauses),
            arguments=canonical_json(shown),
            deployment=self.deployment,
            oddities=oddities(looked),
            undo=terms.undo,
            read_by_rules=tuple(name for name in policy.read_arguments(judged.verdict) if name in shown),
            origins=origins,
            asked=masker.for_people(asked, known=known),
            says=masker.for_people(call.says, known=known),
        )

    def learn(self, policy: Policy, tool: str, snapshot: Snapshot) -> None:
        """People approved this call. Nobody waits for it, since what is usual decides nothing."""
        traits = traits_of(policy, tool, snapshot.arguments)
        self.background.start(lambda: self._learn(traits))

    def _origins(
        self,
        call: ToolCall,
        principal: Principal,
        restored: Restored,
        values: Mapping[str, tuple[str, ...]],
        words: CallWords | None,
    ) -> dict[str, tuple[str, ...]]:
        """The results that the values of each argument stood in before."""
        found = {}
        for name, given in values.items():
            written = canonical_json(call.arguments.get(name))
            read = self.tokens.ids(principal).read(written) if restored.known else ()
            tools = {origin for _, _, text in read if text in restored.known for origin in restored.known[text].origins}
            found[name] = tuple(f"tool {tool}" for tool in sorted(tools | _came_from(given, words)))
        return found

    async def _look(self, principal: Principal, traits: Traits) -> tuple[tuple[str, ...], Usual]:
        """The session's labels, and how the call compares with earlier ones."""
        async with self.link.using() as there:
            labels = await self.tokens.sessions.labels(there.connection, principal)
            return labels, await self.habits.compare(there.connection, traits)

    async def _learn(self, traits: Traits) -> None:
        try:
            async with self.link.using() as there:
                await self.habits.learn(there.connection, traits, time.time_ns() // 1_000_000)
        except GuardUnavailable as error:
            _log.warning("an approved call was not learned as usual: %s", error)


def traits_of(policy: Policy, tool: str, arguments: Mapping[str, Json]) -> Traits:
    """What of a call is compared with earlier ones, by the roles that policy gives its arguments."""
    params = policy.terms(tool).params
    recipients: dict[str, tuple[str, ...]] = {}
    amounts: dict[str, Decimal] = {}
    for role in _RECIPIENTS:
        for path in params.get(role, ()):
            if found := role_values(arguments, [path]):
                recipients[path] = tuple(found)
    for path in params.get("amount", ()):
        numbers = [number for text in role_values(arguments, [path]) if (number := _number(text)) is not None]
        if numbers:
            amounts[path] = sum(numbers, Decimal(0))
    return Traits(tool=tool, recipients=recipients, amounts=amounts)


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text[:40])
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**15 else None


def _user_wrote(values: tuple[str, ...], words: CallWords | None, asked: str) -> bool | None:
    """Whether the user wrote these values; None where nobody can tell."""
    with suppress(LookupError):
        if words is not None and values:
            return all(map(words.user_wrote, values))
    return bool(values) and all(map(PlainProvenance(asked, {}).user_wrote, values)) if asked else None


def _came_from(values: tuple[str, ...], words: CallWords | None) -> set[str]:
    """The tools in whose results these values stood, as far as the session's words tell."""
    with suppress(LookupError):
        return {tool for value in values for tool in words.came_from(value)} if words is not None else set()
    return set()


def _sentence(clause: Clause) -> str:
    """Why, in the policy's own words where it has some, and where it says so."""
    risk = f" says {clause.risk.value}" if clause.risk is not None else ""
    return f"{clause.reason or f'{clause.kind} {clause.id}{risk}'} ({clause.place})"
