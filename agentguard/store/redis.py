"""One connection to Redis or Valkey, and the scripts that run on it.

Rules:
- a script is never sent again once it may have run, NOSCRIPT aside, which says that it did not; a plain read is, once, after a break;
- blocking reads have a socket of their own and end by themselves, whatever becomes of the line;
- whatever goes wrong is GuardUnavailable("redis", ...), in words without keys or values, within BUDGET_SECONDS;
- where replicas are waited for, what a script wrote counts once so many have it; else nobody knows;
- at most 9 sockets, however many callers wait;
- events are read once nobody waits for a reply that came with them: whoever redeems causes one;
- a forked child leaves its parent's sockets alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import redis.asyncio as redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from agentguard.errors import GuardUnavailable
from agentguard.store.address import Monitored, address, monitored
from agentguard.store.inherited import keep
from agentguard.store.replies import events, reason
from agentguard.store.wire import Replies, packed

T = TypeVar("T")
Part = str | bytes | int

CONNECT_SECONDS = 2.0
REPLY_SECONDS = 5.0
BUDGET_SECONDS = CONNECT_SECONDS + REPLY_SECONDS
"""How long any command may take in all: waiting for a socket, connecting, sending, the reply."""

WAIT_MS = 1000
"""How long a script's write may take to reach the replicas that are waited for."""

POOL_SIZE = 8
EVENTS_AT_ONCE = 1000
_SCANNED_AT_ONCE = 500

_READS = frozenset(
    "CONFIG EXISTS GET HGET HGETALL HKEYS HLEN HMGET HVALS INFO PING SMEMBERS TIME XRANGE XREVRANGE ZRANGE ZREVRANGE".split()
)


@dataclass(frozen=True)
class Script:
    """A Lua script: one atomic move."""

    name: str
    source: str
    writes: bool = True

    @cached_property
    def sha(self) -> str:
        """What EVALSHA calls it by."""
        return hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, kw_only=True, eq=False)
class Connection:
    """Commands and scripts on one server. Made and used on one event loop."""

    commands: _Sockets
    reader: _Sockets
    replicas: int = 0

    def __post_init__(self) -> None:
        _alive.add(self)

    @classmethod
    async def open(cls, url: str, *, replicas: int = 0) -> Connection:
        """Connect and ask for a PING. `replicas`: how many must have what a script wrote before it counts.

        Raises ConfigurationError for a URL that is none, GuardUnavailable if nobody answers.
        """
        commands = _Sockets.to(url, count=POOL_SIZE, reply_seconds=REPLY_SECONDS, replies=Replies)
        events = partial(Replies, gives_way=lambda: commands.in_use > 0)
        reader = _Sockets.to(url, count=1, reply_seconds=None, replies=events)
        opened = cls(commands=commands, reader=reader, replicas=replicas)
        try:
            await opened.execute("PING")
        except BaseException:
            await opened.close()
            raise
        return opened

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Any:
        """Run a script. Raises GuardUnavailable; then nobody knows whether it ran."""
        rest = [len(keys), *keys, *args]

        async def once() -> Any:
            try:
                return await send("EVALSHA", script.sha, *rest)
            except NoScriptError:
                return await send("EVAL", script.source, *rest)

        send = self._send_and_wait if self.replicas and script.writes else self.commands.send_plain
        return await _answer(once())

    async def _send_and_wait(self, *command: Part) -> Any:
        """The reply, once enough replicas have what the command wrote; WAIT is about the socket that it is sent on."""
        wait = ("WAIT", self.replicas, WAIT_MS)
        reply, reached = await self.commands.send_all([command, wait], raise_first=False)
        if isinstance(reply, Exception):
            raise reply
        if not isinstance(reached, int) or reached < self.replicas:
            raise GuardUnavailable(
                "redis", "too few replicas have what was written, so nobody knows whether it will last"
            )
        return reply

    async def execute(self, *command: Part) -> Any:
        """Send one command. Raises GuardUnavailable."""
        return await _answer(_repeating(lambda: self.commands.send(*command), [command]))

    async def keys(self, pattern: str) -> AsyncIterator[str]:
        """Every key like this one, some perhaps more than once; looks at all keys, a part at a time. Raises GuardUnavailable."""
        cursor = 0
        while True:
            cursor, found = await self.execute("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED_AT_ONCE)
            for key in found:
                yield key.decode(errors="surrogateescape")
            if not int(cursor):
                return

    async def pipeline(self, commands: Sequence[Sequence[Part]]) -> list[Any]:
        """Send commands in one round trip. Raises GuardUnavailable if any of them failed."""
        if not commands:
            return []
        return await _answer(_repeating(lambda: self.commands.send_all(commands), commands))

    async def read_stream(self, stream: str, after: str, block_ms: int) -> list[tuple[str, dict[str, bytes]]]:
        """Events after an id, waiting up to `block_ms` (over 0) for the first; (id, fields) each. Raises GuardUnavailable."""
        if block_ms <= 0:
            raise ValueError("a blocking read must have an end: block_ms is over 0")
        asked = self.reader.send_plain("XREAD", "COUNT", EVENTS_AT_ONCE, "BLOCK", block_ms, "STREAMS", stream, after)
        return events(await _answer(asked, seconds=block_ms / 1000 + BUDGET_SECONDS))

    async def newest(self, stream: str) -> str:
        """The id of a stream's last event; that before any, where there is none. Raises GuardUnavailable."""
        found = await self.execute("XREVRANGE", stream, "+", "-", "COUNT", 1)
        return found[0][0].decode() if found else "0-0"

    async def close(self) -> None:
        """Close every socket."""
        await self.commands.close()
        await self.reader.close()


@dataclass(kw_only=True, eq=False)
class _Sockets:
    """A few sockets to one server. Callers queue for them here: the queue of redis-py's own pool loses cancellations."""

    client: redis.Redis
    free: asyncio.Semaphore
    reply_seconds: float | None
    in_use: int = 0

    @classmethod
    def to(cls, url: str, *, count: int, reply_seconds: float | None, replies: Callable[..., Replies]) -> _Sockets:
        """redis-py without its retries, and without the notifications that keep it from noticing a dead pooled socket."""
        place = monitored(url)
        manner: dict[str, Any] = {
            "max_connections": count,
            "socket_timeout": None,
            "socket_connect_timeout": CONNECT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
            "parser_class": replies,
        }
        pool = redis.ConnectionPool(**address(url), **manner) if place is None else _monitored_pool(place, manner)
        return cls(client=redis.Redis(connection_pool=pool), free=asyncio.Semaphore(count), reply_seconds=reply_seconds)

    async def send(self, *command: Part) -> Any:
        """The reply to one command, as redis-py shapes it."""
        return self._shaped(command, await self.send_plain(*command))

    async def send_plain(self, *command: Part) -> Any:
        """The reply to one command, as it came."""
        (reply,) = await self._exchange([command])
        if isinstance(reply, RedisError):
            raise reply
        return reply

    async def send_all(self, commands: Sequence[Sequence[Part]], *, raise_first: bool = True) -> list[Any]:
        """The replies of one round trip; `raise_first`: whether an error among them is raised."""
        replies = await self._exchange(commands)
        for reply in replies:
            if raise_first and isinstance(reply, RedisError):
                raise reply
        return [self._shaped(command, reply) for command, reply in zip(commands, replies, strict=True)]

    async def _exchange(self, commands: Sequence[Sequence[Part]]) -> list[Any]:
        """What the server says to each of these, errors among them."""
        pool: Any = self.client.connection_pool  # redis-py does not type it
        sent = b"".join([packed(command) for command in commands])
        async with self.free:
            connection = pool.get_available_connection()
            self.in_use += 1
            try:
                await pool.ensure_connection(connection)
                async with asyncio.timeout(self.reply_seconds):
                    await connection.send_packed_command(sent)
                    return [await _reply(connection) for _ in commands]
            finally:
                self.in_use -= 1
                await pool.release(connection)

    def _shaped(self, command: Sequence[Part], reply: Any) -> Any:
        shape: Any = self.client.response_callbacks.get(str(command[0]))
        return reply if shape is None or isinstance(reply, RedisError) else shape(reply)

    async def close(self) -> None:
        """Close them; what will not close in time is left to the other side."""
        pool: Any = self.client.connection_pool
        watching = pool.sentinel_manager.sentinels if isinstance(pool, SentinelConnectionPool) else ()
        for each in (pool, *(sentinel.connection_pool for sentinel in watching)):
            with suppress(RedisError, OSError):
                await each.disconnect()


def _monitored_pool(place: Monitored, manner: Mapping[str, Any]) -> redis.ConnectionPool:
    """Sockets to whichever server the sentinels call the primary when one is opened."""
    sentinels: Any = Sentinel  # redis-py does not type either
    pool: Any = SentinelConnectionPool
    watching = sentinels(
        list(place.sentinels),
        socket_timeout=CONNECT_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    as_whom = dict(parse_url(place.url))
    as_whom.pop("host", None)
    as_whom.pop("connection_class", None)
    made: redis.ConnectionPool = pool(place.name, watching, ssl=place.url.startswith("rediss"), **as_whom, **manner)
    return made


async def _answer(asked: Coroutine[Any, Any, T], *, seconds: float = BUDGET_SECONDS) -> T:
    """The reply, in time. A cancellation that comes with the reply counts; redis-py loses it on Python 3.11."""
    task = asyncio.current_task()
    cancelled = task.cancelling() if task is not None else 0
    try:
        async with asyncio.timeout(seconds):
            reply = await asked
    except (RedisError, OSError, UnicodeError) as error:
        raise GuardUnavailable("redis", reason(error)) from None
    if task is not None and task.cancelling() > cancelled:
        raise asyncio.CancelledError
    return reply


async def _repeating(send: Callable[[], Coroutine[Any, Any, T]], commands: Sequence[Sequence[Part]]) -> T:
    """The reply; plain reads are sent once more where the line broke. A reply that is late is not asked for twice."""
    try:
        return await send()
    except Disconnected:
        if not all(str(command[0]).upper() in _READS for command in commands):
            raise
        return await send()


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


_alive: weakref.WeakSet[Connection] = weakref.WeakSet()


def _keep_all() -> None:
    for connection in list(_alive):
        keep(connection)


os.register_at_fork(after_in_child=_keep_all)
