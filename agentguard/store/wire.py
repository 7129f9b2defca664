"""Commands and replies of Redis's protocol (RESP 2 and 3), for the connections that redis-py opens.

redis-py's own parser waits for each line of a reply by itself; here a reply that is there is read without a step of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis._parsers import BaseParser
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import InvalidResponse

GIVE_WAY_SECONDS = 0.0005
"""How long events lie unread for others, who have their replies by then and went on in threads of their own."""

_CHUNK = 65_536
_TEXT, _ERROR, _INTEGER, _LONG_INTEGER, _DOUBLE, _BOOLEAN, _NULL = b"+-:(,#_"
_LONG_TEXT, _VERBATIM, _LONG_ERROR = b"$=!"
_LONG = frozenset((_LONG_TEXT, _VERBATIM, _LONG_ERROR))
_ARRAY, _SET, _MAP, _PUSH = b"*~%>"
_MANY = frozenset((_ARRAY, _SET, _MAP, _PUSH))
_MORE = object()


def packed(command: Sequence[str | bytes | int]) -> bytes:
    """A command as the server reads it."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"*%d\r\n%b" % (len(parts), b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]))


class _Several:
    """An array, set, map or push, as far as it was read; `missing` values are to come."""

    __slots__ = ("kind", "missing", "values")

    def __init__(self, kind: int, count: int) -> None:
        self.kind = kind
        self.missing = 2 * count if kind == _MAP else count
        self.values: list[Any] = []

    def whole(self) -> Any:
        """What it holds. A push stays one: nobody asked for it."""
        if self.kind == _MAP:
            try:
                return dict(zip(self.values[::2], self.values[1::2], strict=True))
            except TypeError:  # a key that is a list
                raise _broken() from None
        return self if self.kind == _PUSH else self.values


class Replies(BaseParser):
    """The replies on one connection: what redis-py calls its `parser_class`. Strings are given as bytes.

    `gives_way`: whether others wait for replies, who go first.
    """

    def __init__(self, socket_read_size: int = _CHUNK, *, gives_way: Callable[[], bool] = lambda: False) -> None:
        self._gives_way = gives_way
        self._stream: asyncio.StreamReader | None = None
        self._bytes, self._at, self._begun = bytearray(), 0, list[_Several]()

    def on_connect(self, connection: Any) -> None:
        """The connection was opened."""
        self.on_disconnect()
        self._stream = connection._reader

    def on_disconnect(self) -> None:
        """The connection was closed."""
        self._stream = None
        self._bytes, self._at, self._begun = bytearray(), 0, []

    async def can_read(self) -> bool:
        """Whether something is there that nobody asked for, or the server closed the connection."""
        stream: Any = self._open
        return self._at < len(self._bytes) or bool(stream._buffer) or stream.at_eof()

    async def read_response(self, disable_decoding: bool = False, push_request: bool = False) -> Any:
        """The next reply. An error is given, not raised, unless the connection is of no use after it."""
        while (reply := self._next()) is _MORE or isinstance(reply, _Several):
            if reply is _MORE:
                await self._receive()
        if isinstance(reply, Disconnected):
            raise reply
        return reply

    @property
    def _open(self) -> asyncio.StreamReader:
        if self._stream is None:
            raise Disconnected("the connection is closed")
        return self._stream

    async def _receive(self) -> None:
        received = await self._open.read(_CHUNK)
        if self._gives_way():
            await asyncio.sleep(GIVE_WAY_SECONDS)
        if not received:
            raise Disconnected("the server closed the connection")
        del self._bytes[: self._at]
        self._at = 0
        self._bytes += received

    def _next(self) -> Any:
        """The next reply, if all of it is there; else _MORE, and what is there of it is kept."""
        while (value := self._value()) is not _MORE:
            if isinstance(value, _Several) and value.missing:
                self._begun.append(value)
                continue
            while self._begun:
                around = self._begun[-1]
                around.values.append(value)
                around.missing -= 1
                if around.missing:
                    break
                value = self._begun.pop().whole()
            else:
                self._let_go()
                return value
        return _MORE

    def _let_go(self) -> None:
        """Keep nothing of a reply that was all there was."""
        if self._at == len(self._bytes):
            self._bytes, self._at = bytearray(), 0

    def _value(self) -> Any:
        """The next value, or the head of several; _MORE where it is not all there."""
        end = self._bytes.find(b"\r\n", self._at)
        if end < 0:
            return _MORE
        kind, text, after = self._bytes[self._at], bytes(self._bytes[self._at + 1 : end]), end + 2
        if kind in _LONG and text != b"-1":
            end = after + _count(text)
            if len(self._bytes) < end + 2:
                return _MORE
            if self._bytes[end : end + 2] != b"\r\n":
                raise _broken()
            text, after = bytes(self._bytes[after:end]), end + 2
        elif kind in _LONG or (kind in _MANY and text == b"-1"):
            kind = _NULL
        self._at = after
        return self._read(kind, text)

    def _read(self, kind: int, text: bytes) -> Any:
        if kind in (_TEXT, _LONG_TEXT):
            return text
        if kind in (_INTEGER, _LONG_INTEGER):
            return _integer(text)
        if kind in _MANY:
            several = _Several(kind, _count(text))
            return several if several.missing else several.whole()
        if kind in (_ERROR, _LONG_ERROR):
            as_error: Any = self.parse_error  # redis-py does not type it
            return as_error(text.decode(errors="replace"))
        if kind == _VERBATIM:
            return text[4:]
        if kind == _BOOLEAN and text in (b"t", b"f"):
            return text == b"t"
        if kind == _DOUBLE:
            return _double(text)
        if kind == _NULL:
            return None
        raise _broken()


def _integer(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise _broken() from None


def _count(text: bytes) -> int:
    count = _integer(text)
    if count < 0:
        raise _broken()
    return count


def _double(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        raise _broken() from None


def _broken() -> InvalidResponse:
    return InvalidResponse("what the server says is not Redis's protocol")
