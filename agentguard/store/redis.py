"""One connection to Redis or Valkey, and the scripts that run on it.

Rules:
- a script is never sent twice after it may have run; a read may be tried once more;
- blocking reads have a connection of their own, whose socket waits longer than the read;
- whatever goes wrong is GuardUnavailable("redis", ...), in words without keys or values;
- at most 9 sockets, however many callers wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError

from agentguard.errors import ConfigurationError, GuardUnavailable

T = TypeVar("T")
Part = str | bytes | int

CONNECT_SECONDS = 2.0
REPLY_SECONDS = 5.0
POOL_SIZE = 8


@dataclass(frozen=True)
class Script:
    """A Lua script: one atomic move."""

    name: str
    source: str

    @cached_property
    def sha(self) -> str:
        """What EVALSHA calls it by."""
        return hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Commands and scripts on one server. Made and used on one event loop."""

    commands: redis.Redis
    reader: redis.Redis
    _pools: list[redis.ConnectionPool] = field(default_factory=list)

    @classmethod
    async def open(cls, url: str) -> Connection:
        """Connect and ask for a PING. Raises ConfigurationError for a URL that is none, GuardUnavailable if nobody answers."""
        try:
            pool = _pool(url, size=POOL_SIZE, reply_seconds=REPLY_SECONDS)
            reading = _pool(url, size=1, reply_seconds=None)
        except ValueError as error:
            raise ConfigurationError(f"AGENTGUARD_REDIS_URL: {error}") from None
        opened = cls(
            commands=redis.Redis(connection_pool=pool),
            reader=redis.Redis(connection_pool=reading),
            _pools=[pool, reading],
        )
        try:
            await opened.execute("PING")
        except BaseException:
            await opened.close()
            raise
        return opened

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Any:
        """Run a script. Raises GuardUnavailable; then nobody knows whether it ran."""
        rest = [len(keys), *keys, *args]
        try:
            return await _answer(_send(self.commands, "EVALSHA", script.sha, *rest))
        except NoScriptError:
            return await _answer(_send(self.commands, "EVAL", script.source, *rest))

    async def execute(self, *command: Part) -> Any:
        """Send one command. Raises GuardUnavailable."""
        return await _answer(_send(self.commands, *command))

    async def pipeline(self, commands: Sequence[Sequence[Part]]) -> list[Any]:
        """Send commands in one round trip. Raises GuardUnavailable if any of them failed."""
        if not commands:
            return []
        async with self.commands.pipeline(transaction=False) as pipe:
            queue: Any = pipe.execute_command
            for command in commands:
                queue(*command)
            replies: list[Any] = await _answer(pipe.execute())
        return replies

    async def read_stream(self, stream: str, after: str, block_ms: int) -> list[tuple[str, dict[str, bytes]]]:
        """Events after an id, waiting up to `block_ms` for the first; (id, fields) each."""
        reply = await _answer(_send(self.reader, "XREAD", "COUNT", 1000, "BLOCK", block_ms, "STREAMS", stream, after))
        if not reply:
            return []
        entries = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
        return [(event_id.decode(), _fields(fields)) for event_id, fields in _flat(entries)]

    async def close(self) -> None:
        """Close every socket."""
        for pool in self._pools:
            await pool.aclose()


def _pool(url: str, *, size: int, reply_seconds: float | None) -> redis.BlockingConnectionPool:
    return redis.BlockingConnectionPool.from_url(
        url,
        max_connections=size,
        timeout=REPLY_SECONDS,
        socket_timeout=reply_seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        retry_on_timeout=False,
    )


def _send(client: redis.Redis, *command: Part) -> Awaitable[Any]:
    send: Any = client.execute_command  # redis-py does not type it
    reply: Awaitable[Any] = send(*command)
    return reply


async def _answer(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except NoScriptError:
        raise
    except AuthenticationError:
        raise GuardUnavailable("redis", "it refused the user or password of AGENTGUARD_REDIS_URL") from None
    except ResponseError as error:
        raise GuardUnavailable("redis", f"it refused a command ({_code(error)})") from None
    except (RedisError, OSError) as error:
        raise GuardUnavailable(
            "redis", f"it can't be reached or did not answer in time ({type(error).__name__})"
        ) from None


def _code(error: ResponseError) -> str:
    """The first word of an error reply, such as OOM, READONLY or LOADING: never its text, which may hold a key."""
    first = str(error).split(" ", 1)[0]
    return first if first.isascii() and first.isupper() and first.isalpha() else type(error).__name__


def _flat(entries: Any) -> list[Any]:
    """RESP3 wraps the entries of a stream in one list more."""
    return cast("list[Any]", entries[0] if entries and isinstance(entries[0][0], list) else entries)


def _fields(fields: Any) -> dict[str, bytes]:
    pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
    return {name.decode(): value for name, value in pairs}
