"""What an approval is bound to: exactly this call.

The digest is an HMAC over, each as its own canonical field:
- the tool's name, its schema and its description (a tool that changed since is another tool);
- who calls: tenant, agent, user, session, run;
- the snapshot: the arguments after the tool's own validation, defaults filled in;
- for each token left in the arguments, the HMAC of the value it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from agentguard.model.calls import Principal, Tool, ToolCall
from agentguard.model.canonical import canonical_json
from agentguard.model.keyed import KeyedHash
from agentguard.model.tokens import Token

_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:|-]{1,128}")


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Keyed digests of calls; `key` is the agent's side's own, so that a digest tells nothing to who reads it."""

    key: bytes = field(repr=False)

    def digest(self, tool: Tool, principal: Principal, snapshot: str, tokens: Mapping[str, Token]) -> str:
        """The digest of one call, in hex. `snapshot` is canonical JSON, `tokens` the resolved tokens that stay in it."""
        return self._over(
            b"call",
            {
                "tool": tool.name,
                "description": tool.description,
                "schema": canonical_json(dict(tool.schema)),
                "principal": principal.canonical(),
                "snapshot": snapshot,
                "tokens": {text: self.value(token.value) for text, token in tokens.items()},
            },
        )

    def model_digest(self, call: ToolCall) -> str:
        """The digest of what the model itself wrote: the same call again, after a restart, has the same."""
        return self._over(b"model", {"tool": call.tool, "arguments": dict(call.arguments)})

    def turn(self, call: ToolCall, principal: Principal) -> str:
        """What a request may say of the turn that its call is part of: nobody else's turn has the same, whatever a model writes."""
        return self._over(b"turn", [principal.canonical(), call.turn])[:32] if call.turn else ""

    def call_id(self, written: str | None) -> str | None:
        """The model's id of a call as it may be stored and written down: where it is no plain id, its keyed digest."""
        return written if written is None or _PLAIN_ID.fullmatch(written) else "#" + self.value(written)

    def value(self, text: str | bytes) -> str:
        """The keyed digest of one value or text, in hex."""
        return self._values.digest(text if isinstance(text, bytes) else text.encode(errors="surrogatepass")).hex()

    def _over(self, purpose: bytes, value: object) -> str:
        return self._keyed(purpose).digest(canonical_json(value).encode()).hex()

    @cached_property
    def _values(self) -> KeyedHash:
        return self._keyed(b"value")

    def _keyed(self, purpose: bytes) -> KeyedHash:
        return KeyedHash(self.key, b"agentguard %b 1\n" % purpose)
