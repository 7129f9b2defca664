"""The final answer to the user: tokens become values again, for the entity types that policy lists under `masking.answer`.

Rules:
- what is shown in clear is on record, and on the disk, before it is shown: counts by type, no value;
- a token of another type stays a token; a stand-in of another type becomes the token, since a person could take it for a real value;
- what stands for nothing, or another session's, stays as it is;
- a text in pieces gives what the whole gives: what may end inside a token is held back, LONGEST characters and one token at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agentguard.guard.in_force import Now
from agentguard.guard.records import Records
from agentguard.guard.tokens import TokenBook
from agentguard.masking import TokenIds, is_stand_in
from agentguard.model.calls import Principal

LONGEST = 80
"""Characters of a token or stand-in, with all that may stand in and around it."""


@dataclass(kw_only=True)
class Answering:
    """One answer, whole or in pieces. Each coroutine raises GuardUnavailable: then nothing more of it may be shown in clear."""

    principal: Principal
    tokens: TokenBook
    records: Records
    in_force: Now
    _before: str = ""
    _held: str = ""

    async def feed(self, piece: str) -> str:
        """What of the answer can be shown after one more piece."""
        self._held += piece
        return await self._shown(
            _end_of_certain(self._held, self._ids.read(self._before + self._held), len(self._before))
        )

    async def finish(self, piece: str = "") -> str:
        """The rest of the answer, with its last piece."""
        self._held += piece
        return await self._shown(len(self._held))

    @property
    def _ids(self) -> TokenIds:
        return self.tokens.ids(self.principal)

    async def _shown(self, end: int) -> str:
        """The held text up to `end`, restored. One character is remembered: what stands before a token decides whether it is one."""
        offset, text, self._held = len(self._before), self._before + self._held[:end], self._held[end:]
        found = [(start, stop, name) for start, stop, name in self._ids.read(text) if start >= offset]
        shown = await self._restored(text, offset, found) if found else text[offset:]
        self._before = text[-1:]
        return shown

    async def _restored(self, text: str, done: int, found: Sequence[tuple[int, int, str]]) -> str:
        await self.tokens.recall(self.principal)
        known = await self.tokens.resolve(self.principal, (name for _, _, name in found))
        may_show = frozenset(self.in_force().policy.masking.answer)
        clear, kept, pieces = Counter[str](), Counter[str](), list[str]()
        for start, stop, name in found:
            if name not in known:
                continue
            token = known[name].token
            is_clear = token.entity_type in may_show
            (clear if is_clear else kept)[token.entity_type] += 1
            if is_clear or is_stand_in(name):
                new = token.value if is_clear else self._ids.token(token.entity_type, token.value).text
                pieces += (text[done:start], new)
                done = stop
        if clear:
            await self.records.answered(self.principal, clear, kept)
        return "".join([*pieces, text[done:]])


def _end_of_certain(text: str, found: Sequence[tuple[int, int, str]], offset: int) -> int:
    """Up to where no further piece can change what is a token: to the last line break, and to LONGEST before the end."""
    end = max(text.rfind("\n") + 1, len(text) - LONGEST, 0)
    return next((max(start - offset, 0) for start, stop, _ in found if start - offset < end < stop - offset), end)
