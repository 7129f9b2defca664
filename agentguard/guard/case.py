"""A call that policy wants to ask about, with all that was found out about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentguard.guard.budgets import Bill
from agentguard.guard.snapshot import Snapshot
from agentguard.masking import Put
from agentguard.model.approvals import Card
from agentguard.model.calls import Principal, Tool, ToolCall
from agentguard.model.facts import Facts
from agentguard.model.record import Json
from agentguard.model.tokens import Token
from agentguard.model.verdicts import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One call on its way to people and back.

    `tokens` are those left in the arguments, resolved; `revealed` says which types each parameter got in clear, `put` what.
    `card_text` is what people are shown, as text, since thousands of cases may wait. `bill`: what is held of limits meanwhile.
    `notify`: the places that are told.
    `changes`: what people changed of the model's own arguments, which `call` keeps. `defers`: policy says that the caller does not wait.
    Once approved, `verdict` is the one that people were shown.
    """

    call: ToolCall
    tool: Tool
    principal: Principal
    snapshot: Snapshot
    tokens: Mapping[str, Token]
    facts: Facts
    verdict: Verdict
    card_text: str
    revealed: Mapping[str, tuple[str, ...]]
    put: Sequence[Put]
    bill: Bill
    notify: tuple[str, ...] = ()
    changes: Mapping[str, Json] = field(default_factory=dict)
    defers: bool = False

    @property
    def card(self) -> Card:
        """What people are shown."""
        return Card.read(self.card_text)
