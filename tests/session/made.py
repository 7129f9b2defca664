"""Sessions, principals and tokens for the tests."""

from __future__ import annotations

from dataclasses import dataclass

from agentguard.model.calls import Principal
from agentguard.model.tokens import Token
from agentguard.session import Sessions
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.store.seal import Sealer

SEAL_KEY, DIGEST_KEY, NEWER_KEY = b"s" * 32, b"d" * 32, b"n" * 32
TOOL = "get_customer"
TTL_MS = 1_000_000


@dataclass
class Clock:
    """A clock that a test sets."""

    ms: int = 1_790_000_000_000

    def __call__(self) -> int:
        return self.ms


def principal(session: str = "thread-1", tenant: str = "acme") -> Principal:
    """A caller in a session."""
    return Principal(tenant=tenant, agent="support", user="ann@acme.example", session=session)


def email(number: int = 0, value: str | None = None) -> Token:
    """A token for a made-up address."""
    return Token(f"[EMAIL_{number:010d}]", "EMAIL_ADDRESS", value or f"person{number}@acme.example")


def sessions(tenant: str = "acme", **options: object) -> Sessions:
    """What one process knows: each call stands for a process of its own."""
    given: dict[str, object] = {"sealer": Sealer([SEAL_KEY]), "keys": [DIGEST_KEY], "ttl_ms": TTL_MS, "now_ms": Clock()}
    return Sessions(names=Names(tenant), **(given | options))  # type: ignore[arg-type]


async def remember(
    known: Sessions,
    connection: Connection,
    *tokens: Token,
    labels: tuple[str, ...] = (),
    origin: str = TOOL,
    by: Principal | None = None,
) -> None:
    """What the guard does at the end of a call."""
    news = known.unseen(by or principal(), tokens, labels, origin)
    assert news is not None
    await known.remember(connection, by or principal(), news, origin)
