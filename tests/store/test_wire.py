"""Replies of Redis's protocol, in whatever pieces they come."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import BusyLoadingError, InvalidResponse, NoScriptError, ResponseError
from redis.exceptions import ConnectionError as Disconnected

from agentguard.store.wire import Replies, packed

REPLIES = [
    pytest.param(b"+OK\r\n", b"OK", id="a short string"),
    pytest.param(b"$5\r\na\r\nb:\r\n", b"a\r\nb:", id="a string with line ends"),
    pytest.param(b"$2\r\n-1\r\n", b"-1", id="a string that says minus one"),
    pytest.param(b"$0\r\n\r\n", b"", id="an empty string"),
    pytest.param(b"$-1\r\n", None, id="no string, RESP 2"),
    pytest.param(b"*-1\r\n", None, id="no array, RESP 2"),
    pytest.param(b"_\r\n", None, id="nothing, RESP 3"),
    pytest.param(b":-42\r\n", -42, id="an integer"),
    pytest.param(b"(3492890328409238509324850943850943825024385\r\n", 3492890328409238509324850943850943825024385, id="a long integer"),
    pytest.param(b",1.5\r\n", 1.5, id="a double"),
    pytest.param(b"#t\r\n", True, id="true"),
    pytest.param(b"#f\r\n", False, id="false"),
    pytest.param(b"=6\r\ntxt:ab\r\n", b"ab", id="a verbatim string"),
    pytest.param(b"*0\r\n", [], id="an empty array"),
    pytest.param(b"%0\r\n", {}, id="an empty map"),
    pytest.param(b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n+b\r\n", [1, [b"a", []], b"b"], id="arrays in an array"),
    pytest.param(b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*1\r\n_\r\n", {b"a": 1, b"b": [None]}, id="a map"),
    pytest.param(b"~2\r\n:1\r\n:2\r\n", [1, 2], id="a set"),
    pytest.param(b">2\r\n$10\r\ninvalidate\r\n_\r\n:7\r\n", 7, id="a push before the reply"),
    pytest.param(b">0\r\n:7\r\n", 7, id="an empty push before the reply"),
]  # fmt: skip


def connected() -> tuple[Replies, asyncio.StreamReader]:
    """What reads a connection, and what the server sends on it."""
    stream, replies = asyncio.StreamReader(), Replies()
    replies.on_connect(SimpleNamespace(_reader=stream))
    return replies, stream


@pytest.mark.anyio
@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(("sent", "read"), REPLIES)
async def test_a_reply_is_read_in_whatever_pieces_it_comes(sent: bytes, read: Any, size: int) -> None:
    """What follows it is the next reply."""
    replies, stream = connected()
    reading = asyncio.create_task(replies.read_response())

    whole = sent + b"$4\r\nnext\r\n"
    for at in range(0, len(whole), size):
        stream.feed_data(whole[at : at + size])
        await asyncio.sleep(0)

    assert [await reading, await replies.read_response()] == [read, b"next"]
    assert not await replies.can_read()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        pytest.param(b"-NOSCRIPT No matching script\r\n", NoScriptError, id="one that redis-py knows"),
        pytest.param(b"-WEIRD something else\r\n", ResponseError, id="another"),
        pytest.param(b"!21\r\nSYNTAX invalid syntax\r\n", ResponseError, id="a long one"),
    ],
)
async def test_an_error_is_given_as_what_it_is(sent: bytes, kind: type[Exception]) -> None:
    """redis-py raises it, or keeps it in its place in a pipeline."""
    replies, stream = connected()
    stream.feed_data(sent)

    assert type(await replies.read_response()) is kind


@pytest.mark.anyio
async def test_a_server_that_still_loads_is_none_to_speak_to() -> None:
    """The connection is closed, so it is raised."""
    replies, stream = connected()
    stream.feed_data(b"-LOADING Redis is loading the dataset in memory\r\n")

    with pytest.raises(BusyLoadingError):
        await replies.read_response()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="another protocol"),
        pytest.param(b"$two\r\nab\r\n", id="a length that is no number"),
        pytest.param(b"$-2\r\n", id="a length below nothing"),
        pytest.param(b"*-2\r\n", id="an array below nothing"),
        pytest.param(b":\r\n", id="an integer without digits"),
        pytest.param(b",ten\r\n", id="a double that is none"),
        pytest.param(b"#maybe\r\n", id="neither true nor false"),
        pytest.param(b"$2\r\nabcd\r\n", id="a string that is longer than it says"),
        pytest.param(b"%1\r\n*0\r\n:1\r\n", id="a map with a key that can be none"),
        pytest.param(b"\r\n", id="an empty line"),
    ],
)
async def test_what_is_no_reply_is_an_error_of_redis(sent: bytes) -> None:
    """Nobody guesses what it may mean."""
    replies, stream = connected()
    stream.feed_data(sent)

    with pytest.raises(InvalidResponse):
        await replies.read_response()


@pytest.mark.anyio
async def test_a_server_that_goes_away_in_the_middle_gave_no_reply() -> None:
    """Half a reply is none."""
    replies, stream = connected()
    stream.feed_data(b"*2\r\n:1\r\n")
    stream.feed_eof()

    with pytest.raises(Disconnected):
        await replies.read_response()
    assert await replies.can_read()


@pytest.mark.anyio
async def test_a_new_connection_knows_nothing_of_the_one_before() -> None:
    """Half a reply of another connection is no beginning of this one's."""
    replies, stream = connected()
    stream.feed_data(b"*2\r\n:1\r\n$9\r\nha")
    reading = asyncio.create_task(replies.read_response())
    await asyncio.sleep(0)
    reading.cancel()
    replies.on_disconnect()

    again = asyncio.StreamReader()
    again.feed_data(b"+OK\r\n")
    replies.on_connect(SimpleNamespace(_reader=again))

    assert await replies.read_response() == b"OK"


@pytest.mark.anyio
async def test_what_nobody_asked_for_is_noticed() -> None:
    """Neither what came with a reply nor what comes later is taken for the next one."""
    replies, stream = connected()
    stream.feed_data(b"+OK\r\n+OK\r\n")
    await replies.read_response()
    came_with_it = await replies.can_read()
    await replies.read_response()
    before = await replies.can_read()
    stream.feed_data(b"+OK\r\n")

    assert (came_with_it, before, await replies.can_read()) == (True, False, True)


@pytest.mark.anyio
async def test_nothing_is_read_where_nobody_is_connected() -> None:
    """A closed connection has no replies."""
    replies = Replies()

    with pytest.raises(Disconnected):
        await replies.read_response()
    with pytest.raises(Disconnected):
        await replies.can_read()


@pytest.mark.anyio
async def test_events_lie_unread_while_others_wait_for_replies() -> None:
    """For a moment, and no longer than that; and not where nobody waits."""
    others = [True]
    stream, events = asyncio.StreamReader(), Replies(gives_way=lambda: others[0])
    events.on_connect(SimpleNamespace(_reader=stream))
    stream.feed_data(b"+OK\r\n")
    reading = asyncio.create_task(events.read_response())
    await asyncio.sleep(0)
    gave_way = not reading.done()
    given = await asyncio.wait_for(reading, 5)

    others[0] = False
    stream.feed_data(b"+OK\r\n")
    at_once = asyncio.create_task(events.read_response())
    await asyncio.sleep(0)

    assert (gave_way, given, at_once.done()) == (True, b"OK", True)


def test_a_command_is_packed_by_the_length_of_its_bytes() -> None:
    """Text, bytes and numbers, whatever is in them."""
    assert packed(["SET", "zażółć", b"\r\n\x00", -1]) == (
        b"*4\r\n$3\r\nSET\r\n$10\r\nza\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87\r\n$3\r\n\r\n\x00\r\n$2\r\n-1\r\n"
    )
