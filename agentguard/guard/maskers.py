"""Which masker masks what: a tool's results and arguments as its policy says, everything else by the default one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentguard.masking import ALL, Masker
from agentguard.masking.actions import Written
from agentguard.model.calls import Principal, ToolCall

if TYPE_CHECKING:
    from agentguard.guard.tokens import TokenBook  # which needs Redis

_AS_WRITTEN = {ALL: "allow"}
"""What the model writes into a call stays as it wrote it, where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class Maskers:
    """The maskers of all tools. `results`, `arguments`: tool pattern to actions that come before the default ones."""

    default: Masker
    results: Mapping[str, Written] = field(default_factory=dict)
    arguments: Mapping[str, Written] = field(default_factory=dict)
    pattern_of: Callable[[str], str] = str
    _made: dict[tuple[str, str], Masker] = field(default_factory=dict)

    def of_result(self, tool: str) -> Masker:
        """What masks the results of a tool, and its errors."""
        if not self.results:
            return self.default
        return self._of("result", self.pattern_of(tool), self.results) or self.default

    async def outgoing(self, call: ToolCall, tokens: TokenBook, principal: Principal) -> ToolCall:
        """The call with what the model wrote into it masked as the tool's policy says; before anything is restored.

        Tokens that were made are in the vault when this returns. Raises GuardUnavailable.
        """
        masker = self._of("arguments", self.pattern_of(call.tool), self.arguments) if self.arguments else None
        if masker is None:
            return call
        masked = masker.mask(dict(call.arguments), tokens.ids(principal))
        if not masked.changed:
            return call
        await tokens.remember(principal, masked.tokens, (), call.tool)
        return call._replace(arguments=masked.value)

    def _of(self, direction: str, pattern: str, written: Mapping[str, Written]) -> Masker | None:
        actions = written.get(pattern)
        if actions is None:
            return None
        made = self._made.get((direction, pattern))
        if made is None:
            actions = actions if direction == "result" else {**_AS_WRITTEN, **actions}
            made = self._made[direction, pattern] = self.default.under(actions)
        return made
