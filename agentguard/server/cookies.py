"""What this server gives a browser to keep: signed, so that it comes back as it was given, and read by no script.

Rules:
- a cookie is signed for one purpose and holds until an age; one of another purpose, changed or too old is nothing;
- HttpOnly always, Secure wherever the server is reached by https, and then named `__Host-`, which no neighbour host can set;
- the session is SameSite=Strict: no other site's link or form comes with it. What a login keeps meanwhile is Lax, because the
  login provider sends the browser back from another site;
- without https, and on loopback with it, a browser sends a cookie to every port of its host, so whatever listens there has it: a login
  then also has a key, which its pages keep in their origin's storage, the cookie holds the hash of, and each form must carry. A cookie
  alone reads;
- the keys come from the server's signing key, so that every replica with that key reads what another gave.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, TypeVar

from itsdangerous import BadData, URLSafeTimedSerializer
from pydantic import ValidationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from agentguard.model.record import Record

T = TypeVar("T", bound=Record)
SameSite = Literal["strict", "lax"]


@dataclass(frozen=True, kw_only=True)
class Cookies:
    """Gives and reads cookies. `keys`: newest last, as itsdangerous wants them."""

    keys: Sequence[bytes] = field(repr=False)
    is_secure: bool

    def give(self, reply: Response, name: str, record: Record, *, seconds: int, same_site: SameSite) -> None:
        """Have the browser keep a record under a name."""
        reply.set_cookie(
            self._name(name),
            self._serializer(name).dumps(record.canonical()),
            max_age=seconds,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite=same_site,
        )

    def take_back(self, reply: Response, name: str) -> None:
        """Have the browser forget it."""
        reply.delete_cookie(self._name(name), path="/", secure=self.is_secure, httponly=True)

    def read(self, request: HTTPConnection, name: str, kind: type[T], *, seconds: int) -> T | None:
        """The record that this browser keeps under a name; None where it keeps none of ours, or too old a one."""
        text = request.cookies.get(self._name(name), "")
        try:
            return kind.read(self._serializer(name).loads(text, max_age=seconds)) if text else None
        except (BadData, ValidationError, TypeError):
            return None

    def form_token(self, session: str, *purpose: str) -> str:
        """What a form of this session must carry for this purpose, and no other."""
        said = "\n".join((session, *purpose))
        return hmac.new(self.keys[-1], b"agentguard form 1\n" + said.encode(), sha256).hexdigest()

    def is_form_token(self, shown: str, session: str, *purpose: str) -> bool:
        """Whether a form carries the token of this session and purpose."""
        return hmac.compare_digest(shown.encode(), self.form_token(session, *purpose).encode())

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.is_secure else name

    def _serializer(self, name: str) -> URLSafeTimedSerializer:
        keys: Any = list(self.keys)
        return URLSafeTimedSerializer(
            keys, salt=f"agentguard cookie {name}", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
        )
