"""What people may grant along with an approval of one call, and whether a grant covers another one. Pure.

Rules:
- an offer is the policy's words on this tool with the values of this call: none where it lacks one of them, none for a critical call;
- a grant is void where the policy's words or what the tool says of itself changed;
- a covered call keeps every held argument: the same value, or a number of at most that.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from agentguard.guard.binding import Binding
from agentguard.model.approvals import Card, Held, Offer
from agentguard.model.calls import Tool
from agentguard.model.canonical import canonical_json
from agentguard.model.record import Json
from agentguard.model.verdicts import Risk, Verdict
from agentguard.policy import BadAmount, Policy, amounts, role_values


@dataclass(frozen=True, kw_only=True)
class Offers:
    """Makes and compares offers; digests are the agent's side's own."""

    binding: Binding

    def offer(
        self, policy: Policy, tool: Tool, verdict: Verdict, arguments: Mapping[str, Json], card: Card
    ) -> Offer | None:
        """What may be granted along with this call, or None."""
        written = policy.terms(tool.name).grants
        if written is None or verdict.risk is Risk.CRITICAL:
            return None
        shown = json.loads(card.arguments)
        held = [self._same(path, arguments, shown) for path in written.same]
        held += [_at_most(path, arguments) for path in written.at_most]
        kept = tuple(each for each in held if each is not None)
        if len(kept) < len(held):
            return None
        return Offer(
            seconds=written.seconds,
            uses=written.uses,
            session=written.session,
            held=kept,
            tool_digest=self._tool(tool),
            clause=self._clause(policy, tool),
        )

    def covers(self, offer: Offer, policy: Policy, tool: Tool, arguments: Mapping[str, Json]) -> bool:
        """Whether a grant of this offer covers a call with these arguments, of the tool and under the policy of now."""
        if policy.terms(tool.name).grants is None:
            return False
        same = hmac.compare_digest(offer.tool_digest, self._tool(tool))
        same = hmac.compare_digest(offer.clause, self._clause(policy, tool)) and same
        return same and all(self._keeps(each, arguments) for each in offer.held)

    def _keeps(self, held: Held, arguments: Mapping[str, Json]) -> bool:
        if held.how == "same":
            return hmac.compare_digest(held.digest, self._digest(held.path, arguments))
        now = _numbers(held.path, arguments)
        return bool(now) and max(now) <= Decimal(held.most)

    def _same(self, path: str, arguments: Mapping[str, Json], shown: Mapping[str, Json]) -> Held | None:
        values = role_values(arguments, [path])
        if not values:
            return None
        seen = ", ".join(role_values(shown, [path]))
        return Held(path=path, how="same", shown=seen, digest=self._digest(path, arguments))

    def _digest(self, path: str, arguments: Mapping[str, Json]) -> str:
        return self.binding.value("held\n" + canonical_json([path, role_values(arguments, [path])]))

    def _tool(self, tool: Tool) -> str:
        said = {"name": tool.name, "description": tool.description, "schema": canonical_json(dict(tool.schema))}
        return self.binding.value("tool\n" + canonical_json(said))

    def _clause(self, policy: Policy, tool: Tool) -> str:
        terms = policy.terms(tool.name)
        written = "" if terms.grants is None else terms.grants.canonical()
        return self.binding.value("clause\n" + canonical_json([terms.pattern, written]))


def _at_most(path: str, arguments: Mapping[str, Json]) -> Held | None:
    numbers = _numbers(path, arguments)
    if not numbers:
        return None
    most = format(max(numbers), "f")
    return Held(path=path, how="at_most", shown=most, most=most)


def _numbers(path: str, arguments: Mapping[str, Json]) -> list[Decimal]:
    """The numbers at a path; nothing where there is none, or something else."""
    try:
        return amounts(arguments, [path])
    except BadAmount:
        return []
