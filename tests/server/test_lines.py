"""Connections of callers who take their time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from agentguard.approval import Channel
from agentguard.server.lines import Line
from tests.server.serving import parts, serving
from tests.server.test_live import screen
from tests.server.visiting import visitor

pytestmark = pytest.mark.anyio

WITHIN_SECONDS = 15.0
HEAD = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"


class Hurried(Line):
    """One that waits for half a second."""

    head_seconds = 0.5


@pytest.fixture(scope="module")
def hurried(valkey_url: str) -> Iterator[str]:
    """A server that is in a hurry."""
    with serving(parts(valkey_url, "lines"), Hurried) as address:
        yield address


async def lasts(base: str, first: bytes, more: bytes = b"") -> float:
    """For how many seconds the server keeps a connection on which this is said, and `more` again and again."""
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    started = asyncio.get_running_loop().time()
    writer.write(first)
    trickle = asyncio.create_task(_trickle(writer, more))
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            await _end(reader)
    finally:
        trickle.cancel()
        writer.close()
    return asyncio.get_running_loop().time() - started


async def _end(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionResetError):
        await reader.read()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionResetError):
        await writer.wait_closed()


async def _port_of_one_request(client: httpx.AsyncClient) -> int:
    async with client.stream("GET", "/healthz") as reply:
        await reply.aread()
        _, port = reply.extensions["network_stream"].get_extra_info("client_addr")
    await asyncio.sleep(0.1)
    return int(port)


async def _trickle(writer: asyncio.StreamWriter, more: bytes) -> None:
    while True:
        await asyncio.sleep(0.05)
        writer.write(more)


@pytest.mark.parametrize(
    ("first", "more"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(HEAD, b"", id="half a head"),
        pytest.param(HEAD, b"x", id="a header without an end"),
        pytest.param(HEAD, b"a: b\r\n", id="one header after the other"),
        pytest.param(HEAD + b"\r\n", b"G", id="half of a second request"),
        pytest.param(HEAD + b"content-length: 60000\r\n\r\n", b"x", id="a body that nobody reads"),
        pytest.param(
            b"POST /api/v1/decisions HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n",
            b"x",
            id="a body without a token",
        ),
    ],
)
async def test_t9_who_does_not_come_to_the_end_of_a_request_is_cut_off(hurried: str, first: bytes, more: bytes) -> None:
    """However busy the connection looks: it would keep others out."""
    assert await lasts(hurried, first, more) < WITHIN_SECONDS / 2


async def test_t9_silent_connections_keep_nobody_out(hurried: str) -> None:
    """There may be hundreds of them; those who have something to say are answered."""
    host, port = hurried.removeprefix("http://").split(":")
    silent = [await asyncio.open_connection(host, int(port)) for _ in range(200)]
    async with httpx.AsyncClient(base_url=hurried, trust_env=False) as client:
        answers = [(await client.get("/healthz")).status_code for _ in range(20)]
    async with asyncio.timeout(WITHIN_SECONDS):
        await asyncio.gather(*(_end(reader) for reader, _ in silent))
    await asyncio.gather(*(_hang_up(writer) for _, writer in silent))
    assert answers == [200] * 20


async def test_a_connection_is_used_for_many_requests(hurried: str) -> None:
    """Pauses between them that are shorter than the limit end nothing, though all together are longer."""
    async with httpx.AsyncClient(base_url=hurried, trust_env=False, limits=httpx.Limits(max_connections=1)) as client:
        ports = {await _port_of_one_request(client) for _ in range(8)}
    assert len(ports) == 1


async def test_an_open_screen_is_kept(hurried: str, agent: Channel) -> None:
    """It asked for what has no end."""
    async with visitor(hurried, "ann") as ann, screen(ann) as heard:
        assert (await anext(heard))[0] == "anew"
        await asyncio.sleep(3 * Hurried.head_seconds)
        assert (await ann.get("/session")).status_code == 204
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(heard), 0.2)


async def test_t26_what_people_search_for_and_a_login_brings_along_is_not_logged(
    hurried: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Addresses stand in the log without what is behind their `?`."""
    async with visitor(hurried, "ann") as ann:
        await ann.get("/history?q=canary1")
        await ann.get("/login/callback?state=canary2&code=canary3")
        await ann.get("/nothing%3Fcanary4?canary5")
    assert '"GET /history HTTP/1.1" 200' in caplog.text
    assert '"GET /login/callback HTTP/1.1" 403' in caplog.text
    assert [f"canary{n}" in caplog.text for n in (1, 2, 3, 5)] == [False] * 4
