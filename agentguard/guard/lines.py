"""The two journal records that every call writes, as JSON: what is the same in many of them is written once.

What is kept is bounded, and found by the very object that it was made from: verdicts are shared by the calls that policy says the same
of, and a principal by the calls of its session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from agentguard.audit import Stencil, json_of
from agentguard.model.calls import Principal
from agentguard.model.events import Ended, Judged, Settled
from agentguard.model.verdicts import Verdict

K = TypeVar("K")
V = TypeVar("V")

KEPT = 512
"""Verdicts, principals and kinds of ends of which the JSON is kept."""

_JUDGED = ("call_id", "arguments", "snapshot_digest", "entities", "revealed", "kept")
_SETTLED = (
    "call_id", "request", "result_digest", "result_bytes", "entities", "labels_added", "over", "over_in_shadow",
    "duration_ms",
)  # fmt: skip
_NOBODY = Principal(tenant="", agent="", user=None, session="")


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Gives the JSON of `Judged` and `Settled`. Each method raises GuardUnavailable for what has no JSON form."""

    _principals: dict[int, tuple[Principal, bytes]] = field(default_factory=dict, repr=False)
    _verdicts: dict[int, tuple[Verdict, Stencil]] = field(default_factory=dict, repr=False)
    _ends: dict[tuple[str, str, int], Stencil] = field(default_factory=dict, repr=False)

    def judged(
        self,
        verdict: Verdict,
        principal: Principal,
        call_id: str | None,
        *,
        arguments: str,
        snapshot_digest: str,
        entities: Mapping[str, int],
        revealed: Mapping[str, tuple[str, ...]],
        kept: str,
    ) -> bytes:
        """The record of a verdict on one call."""
        known = self._verdicts.get(id(verdict))
        stencil = known[1] if known is not None and known[0] is verdict else self._of_verdict(verdict)
        return stencil.filled(
            self._written(principal),
            {
                "call_id": call_id,
                "arguments": arguments,
                "snapshot_digest": snapshot_digest,
                "entities": entities,
                "revealed": revealed,
                "kept": kept,
            },
        )

    def settled(
        self,
        principal: Principal,
        policy_version: str,
        call_id: str | None,
        tool: str,
        ended: Ended,
        *,
        request: str | None,
        result_digest: str,
        result_bytes: int,
        entities: Mapping[str, int],
        labels: Sequence[str],
        over: Sequence[str],
        over_in_shadow: Sequence[str],
        duration_ms: int,
    ) -> bytes:
        """The record of how a call ended."""
        stencil = self._ends.get((policy_version, tool, id(ended))) or self._of_end(policy_version, tool, ended)
        return stencil.filled(
            self._written(principal),
            {
                "call_id": call_id,
                "request": request,
                "result_digest": result_digest,
                "result_bytes": result_bytes,
                "entities": entities,
                "labels_added": labels,
                "over": over,
                "over_in_shadow": over_in_shadow,
                "duration_ms": duration_ms,
            },
        )

    def _written(self, principal: Principal) -> bytes:
        known = self._principals.get(id(principal))
        if known is not None and known[0] is principal:
            return known[1]
        text = json_of(principal)
        _keep(self._principals, id(principal), (principal, text))
        return text

    def _of_verdict(self, verdict: Verdict) -> Stencil:
        sample = Judged.of(
            verdict, principal=_NOBODY, call_id=None, arguments="", snapshot_digest="", entities={}, revealed={}
        )
        stencil = Stencil(sample, _JUDGED)
        _keep(self._verdicts, id(verdict), (verdict, stencil))
        return stencil

    def _of_end(self, policy_version: str, tool: str, ended: Ended) -> Stencil:
        sample = Settled(
            principal=_NOBODY, policy_version=policy_version, call_id=None, tool=tool, outcome=ended, duration_ms=0
        )
        stencil = Stencil(sample, _SETTLED)
        _keep(self._ends, (policy_version, tool, id(ended)), stencil)
        return stencil


def _keep(kept: dict[K, V], key: K, made: V) -> None:
    """Keep what was made; all of it is let go before there is too much."""
    if len(kept) >= KEPT:
        kept.clear()
    kept[key] = made
