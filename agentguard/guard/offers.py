"""What people may grant along with an approval of one call, and whether a grant covers another one. Pure.

Rules:
- an offer is the policy's words on this tool with the values of this call: none where it lacks one of them, none for a critical call;
- a grant is void where the policy's words or what the tool says of itself changed;
- a covered call keeps every held argument: the same value in the same shape (keys count, and what stands under them), or a number of
  at most that, and of several no more than there were.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
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
        return bool(now) and len(now) <= held.count and max(now) <= Decimal(held.most)

    def _same(self, path: str, arguments: Mapping[str, Json], shown: Mapping[str, Json]) -> Held | None:
        if not role_values(arguments, [path]):
            return None
        return Held(path=path, how="same", shown=_told(shown, path), digest=self._digest(path, arguments))

    def _digest(self, path: str, arguments: Mapping[str, Json]) -> str:
        return self.binding.value("held\n" + canonical_json([path, _kept(arguments, path.split("."))]))

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
    most, count = format(max(numbers), "f"), len(numbers)
    shown = most if count == 1 else f"{most} each, {count} of them at most"
    return Held(path=path, how="at_most", shown=shown, most=most, count=count)


def _kept(value: Json, steps: Sequence[str]) -> Json:
    """A value with nothing in it but what stands at a path, which goes through lists and by key."""
    if isinstance(value, list):
        return [_kept(inner, steps) for inner in value]
    if not steps or not isinstance(value, Mapping):
        return value
    return {steps[0]: _kept(value[steps[0]], steps[1:])} if steps[0] in value else {}


def _told(shown: Mapping[str, Json], path: str) -> str:
    """What people see of the values at a path: of plain ones their text, of objects JSON, since their keys count."""
    steps = path.split(".")
    kept = ends = _kept(shown, steps)
    for step in steps:
        ends = ends.get(step) if isinstance(ends, Mapping) else ends
    listed = ends if isinstance(ends, list) else [ends]
    if any(isinstance(each, (Mapping, list)) for each in listed):
        return canonical_json(kept)
    return ", ".join(role_values(shown, [path]))


def _numbers(path: str, arguments: Mapping[str, Json]) -> list[Decimal]:
    """The numbers at a path; nothing where there is none, or something else."""
    try:
        return amounts(arguments, [path])
    except BadAmount:
        return []
