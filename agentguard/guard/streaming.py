"""Text in pieces on its way to the model: each part that goes out is masked, and its tokens are kept before it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from agentguard.guard.tokens import TokenBook
from agentguard.masking import Masked, MaskedStream, Masker
from agentguard.model.calls import Principal
from agentguard.model.tokens import Token


@dataclass(kw_only=True)
class TextMasking:
    """One text. Each coroutine raises GuardUnavailable: then nothing more of the text may be shown.

    `keep`: keeps what a part brings into the session before the part is shown, and tells the labels that it put there.
    """

    principal: Principal
    tokens: TokenBook
    masker: Masker
    keep: Callable[[Masked], Awaitable[Sequence[str]]]
    _stream: MaskedStream | None = None
    _found: Counter[str] = field(default_factory=Counter)
    _tokens: dict[str, Token] = field(default_factory=dict)
    _shown: list[str] = field(default_factory=list)
    _labels: set[str] = field(default_factory=set)

    async def feed(self, piece: str) -> str:
        """What can be shown after one more piece; it may be empty."""
        return await self._masked(lambda stream: stream.feed(piece))

    async def finish(self, piece: str = "") -> str:
        """What is left, with the last piece."""
        return await self._masked(lambda stream: stream.finish(piece))

    @property
    def whole(self) -> Masked:
        """All that has come out so far, as one."""
        return Masked(
            value="".join(self._shown),
            tokens=tuple(self._tokens.values()),
            entities=dict(self._found),
            changed=bool(self._found),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """What it has put on the session so far."""
        return tuple(sorted(self._labels))

    async def _masked(self, step: Callable[[MaskedStream], Masked]) -> str:
        if self._stream is None:
            self._stream = self.masker.stream(await self.tokens.recall(self.principal))
        masked = step(self._stream)
        self._labels.update(await self.keep(masked))
        self._found.update(masked.entities)
        self._tokens.update((token.text, token) for token in masked.tokens)
        shown = str(masked.value)
        self._shown.append(shown)
        return shown
