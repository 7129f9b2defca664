"""Erasing a person's values: found first, put on record, then gone.

Rules:
- what names them (a value, tokens, a session) is on record as a keyed digest, with how much it is, before anything is erased;
- a value is erased in every spelling of it that a session gave a token: any case, a name in either order;
- limits forget the value too, of whatever type it was counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agentguard.audit import Journal
from agentguard.guard.binding import Binding
from agentguard.masking import ENTITY_TYPES, candidates, canonical_value, same_value
from agentguard.model.events import Erased
from agentguard.session import Erasing, Found

What = Literal["value", "token", "session"]


@dataclass(frozen=True, kw_only=True)
class Named:
    """What is to be erased: a value, a token however it is spelled, or all of a session. `session`: in this one alone."""

    what: What
    text: str
    session: str | None = None


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """Erases in one tenant, on record. Each coroutine raises GuardUnavailable."""

    tenant: str
    erasing: Erasing
    journal: Journal
    binding: Binding

    async def find(self, named: Named) -> Found:
        """What would be erased."""
        match named.what:
            case "value":
                return await self.erasing.values(
                    lambda token: same_value((token.entity_type, token.value), named.text), session=named.session
                )
            case "token":
                return await self.erasing.tokens(_spelled(named.text), session=named.session)
            case "session":
                return await self.erasing.session(named.text)

    async def erase(self, named: Named, found: Found, *, by: str) -> int:
        """Erase it. Gives how many limits forgot something."""
        line = Erased(
            tenant=self.tenant,
            by=by,
            named_by=named.what,
            named=self.binding.value(named.text),
            session=None if named.session is None else self.binding.value(named.session),
            tokens=found.size,
            sessions=len(found.tokens),
            unreadable=found.unreadable,
        )
        written = self.journal.append("erased", line, durable=True)
        if written is not None:
            await asyncio.wrap_future(written)
        return await self.erasing.erase(found, subjects=_subjects(named, found))


def _spelled(text: str) -> Sequence[str]:
    """The text itself, and the tokens in it as they are made."""
    return [text.strip(), *(made for _, _, made in candidates(text))]


def _subjects(named: Named, found: Found) -> set[tuple[str, str]]:
    """What limits may know the value as. One session's erasure leaves them alone: other sessions may have shown it too."""
    if named.what == "session" or named.session is not None:
        return set()
    if named.what == "token":
        return found.identities
    return found.identities | {(entity_type, canonical_value(entity_type, named.text)) for entity_type in ENTITY_TYPES}
