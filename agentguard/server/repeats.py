"""The same POST again: a caller that names it with an `Idempotency-Key` gets the answer that it got the first time.

Rules:
- a key is one caller's own, and stands for one method, path and body: with anything else it is refused;
- while the first is still being answered, another is told to wait; it is answered at most once;
- an answer is kept a day. An unavailability is not kept: whoever tries again then really tries again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from agentguard.model.canonical import canonical_json
from agentguard.server.problems import problem
from agentguard.store.names import Names
from agentguard.store.redis import Connection

KEPT_MS = 24 * 3600 * 1000
BUSY_MS = 30_000
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_BUSY = b"..."


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """The answers that one tenant's callers got."""

    connection: Connection
    names: Names

    async def once(
        self, key: str | None, person: str, call: str, answer: Callable[[], Awaitable[Response]]
    ) -> Response:
        """The answer to a call, made once for each key. `call`: what the key stands for."""
        if key is None:
            return await answer()
        if not _KEY.fullmatch(key):
            return problem(422, "bad_key", "an Idempotency-Key is 1 to 200 plain characters without blanks")
        name, stands_for = self.names.repeat(person, key), hashlib.sha256(call.encode()).hexdigest().encode()
        is_first = await self.connection.execute("SET", name, stands_for + _BUSY, "NX", "PX", BUSY_MS)
        if not is_first:
            return self._again(await self.connection.execute("GET", name), stands_for)
        reply = await self._answered(name, answer)
        kept = canonical_json(
            {"status": reply.status_code, "type": reply.media_type, "body": bytes(reply.body).decode()}
        )
        await self.connection.execute("SET", name, stands_for + kept.encode(), "PX", KEPT_MS)
        return reply

    async def _answered(self, name: str, answer: Callable[[], Awaitable[Response]]) -> Response:
        try:
            return await answer()
        except BaseException:
            await self.connection.execute("DEL", name)
            raise

    def _again(self, stored: bytes | None, stands_for: bytes) -> Response:
        if stored is None or stored == stands_for + _BUSY:
            return problem(
                409, "busy", "the first call with this key is not answered yet", headers={"retry-after": "1"}
            )
        if not stored.startswith(stands_for):
            return problem(422, "key_reused", "this Idempotency-Key was used for another call; take a new one")
        kept = json.loads(stored[len(stands_for) :])
        return Response(
            kept["body"], status_code=kept["status"], media_type=kept["type"], headers={"idempotent-replayed": "true"}
        )
