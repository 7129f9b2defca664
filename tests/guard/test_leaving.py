"""Every surface that may hold a value: it is planted there, a real call is made, and everything that leaves the process is searched."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import tempfile
import traceback
from collections import ChainMap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import StructuredTool
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, computed_field

from agentguard.config import open_guard
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool, StreamTool
from agentguard.integrations.langchain import guard_tools
from agentguard.integrations.otel import OpenTelemetry
from agentguard.model.calls import ToolCall
from agentguard.store.embedded import Embedded
from tests.documents import ROOT
from tests.guard.world import World

pytestmark = pytest.mark.anyio

MAIL, CARD, NAME, KEY = (
    "canary.one@mail.example",
    "4111 1111 1111 1111",
    "Canary Canarowska",
    "sk-canary0123456789abcdefghij",
)
ALL = f"{MAIL}, {CARD} and {KEY}"
CANARY = re.compile(r"canar|4111[ -]?1111", re.IGNORECASE)
MASKED = re.compile(r"_[0-9a-z]{10}\]|\*\*\*")


@dataclass
class Place:
    """A world whose every exit is watched."""

    world: World
    guard: Guard
    exporter: InMemorySpanExporter
    log: pytest.LogCaptureFixture
    out: pytest.CaptureFixture[str]
    shown: list[str] = field(default_factory=list)

    async def give(self, value: Any) -> None:
        """A tool returns this."""
        self.shown.append(repr(await self.run(lambda: value)))

    async def fail(self, error: BaseException) -> None:
        """A tool raises this."""

        def work() -> None:
            raise error

        try:
            await self.run(work)
        except Exception as caught:  # noqa: BLE001 - whatever the model would be shown
            self.shown += [repr(caught), *traceback.format_exception(caught)]

    async def run(self, work: Callable[[], Any]) -> Any:
        """One call of a tool."""
        return await self.guard.run(ToolCall(tool="echo", arguments={}), FunctionTool.of(work, name="echo"))

    def leaving(self) -> dict[str, str]:
        """All that left: what the model was shown, the files of the state directory, all of Redis, cards, logs, output and spans."""
        with redis.Redis.from_url(self.world.redis_url) as server:
            keys = list(server.scan_iter(match=f"*{self.world.tenant}*", count=1000))
            stored = b"".join([*keys, *(server.dump(key) or b"" for key in keys), *self._read_out(server, keys)])
        files = [file.read_bytes() for file in (self.world.folder / "state").rglob("*") if file.is_file()]
        written = [*Path(self.world.redis_url.removeprefix("unix://")).parent.rglob("*.aof")]
        assert written
        stored += b"".join(file.read_bytes() for file in written)
        output = self.out.readouterr()
        return {
            "model": "\n".join(self.shown),
            "files": b"".join(files).decode("latin-1"),
            "redis": stored.decode("latin-1"),
            "log": "\n".join([self.log.text, *(repr(record.__dict__) for record in self.log.records)]),
            "output": output.out + output.err,
            "spans": "".join(span.to_json() for span in self.exporter.get_finished_spans()),
        }

    @staticmethod
    def _read_out(server: Any, keys: list[bytes]) -> Iterator[bytes]:
        """Values as they read, since a dump may be packed."""
        readers = {
            b"string": "GET",
            b"hash": "HGETALL",
            b"stream": "XRANGE",
            b"set": "SMEMBERS",
            b"zset": "ZRANGE",
            b"list": "LRANGE",
        }
        for key in keys:
            kind = server.type(key)
            if kind == b"none":  # it has expired since
                continue
            more = {b"stream": ("-", "+"), b"zset": (0, -1), b"list": (0, -1)}.get(kind, ())
            yield repr(server.execute_command(readers[kind], key, *more)).encode()


@pytest.fixture(scope="module")
def valkey_url() -> Iterator[str]:
    """A server of these tests alone, since they read its whole append-only file, and others' tests plant values of their own."""
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        lease = Embedded.acquire(Path(folder))
        yield lease.url
        lease.release()


@pytest.fixture
def place(world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Place]:
    """A guard whose exits are watched, in a session."""
    caplog.set_level(logging.DEBUG)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = OpenTelemetry(provider)
    opened = open_guard(world.policies, agent="support", tenant=world.tenant, settings=world.settings, tracing=tracing)
    with opened as guard, guard.session(user="dan@acme.example", id="thread-1"):
        yield Place(world, guard, exporter, caplog, capfd)
    provider.shutdown()


async def _arguments(place: Place) -> None:
    await place.world.call(place.guard, "http_post", url="https://a.example", body=ALL)


async def _text(place: Place) -> None:
    await place.give(f"wrote to {ALL}")


async def _json_block(place: Place) -> None:
    await place.give([{"type": "json", "json": {"full_name": NAME, "to": [MAIL]}}])


async def _text_block(place: Place) -> None:
    await place.give([{"type": "text", "text": ALL}])


async def _call_block(place: Place) -> None:
    await place.give([{"type": "tool_use", "id": "toolu_1", "name": "send", "input": {"to": MAIL, "full_name": NAME}}])


async def _image_block(place: Place) -> None:
    packed = base64.b64encode(f"to {MAIL}".encode()).decode()
    urls = [f"https://img.example/a.png?email={MAIL}", f"data:text/plain;base64,{packed}"]
    await place.give([{"type": "image_url", "image_url": {"url": url}} for url in urls])
    assert packed not in place.shown[-1]


async def _json_in_string(place: Place) -> None:
    await place.give({"body": json.dumps({"inner": json.dumps({"full_name": NAME, "note": ALL})})})


def _lookup() -> tuple[str, Any]:
    return f"found {MAIL}", {"rows": [{"full_name": NAME}], "raw": ALL}


def _message() -> Any:
    calls = [{"name": "send", "args": {"to": MAIL}, "id": "call_1"}]
    return [AIMessage(ALL, tool_calls=calls), ToolMessage(ALL, artifact={"raw": ALL}, tool_call_id="call_2")]


async def _artifact(place: Place) -> None:
    paired = StructuredTool.from_function(_lookup, name="echo", description="x", response_format="content_and_artifact")
    [tool] = guard_tools(place.guard, [paired])
    message = await tool.ainvoke({"name": "echo", "args": {}, "id": "call_9", "type": "tool_call"})
    place.shown += [repr(message), repr(message.artifact)]


async def _messages(place: Place) -> None:
    [tool] = guard_tools(place.guard, [StructuredTool.from_function(_message, name="echo", description="x")])
    place.shown.append(repr(await tool.ainvoke({})))


async def _error(place: Place) -> None:
    error = ValueError(f"no row for {ALL}", {"full_name": NAME})
    error.add_note(f"asked by {MAIL}")
    await place.fail(error)


async def _causes(place: Place) -> None:
    inner = RuntimeError(ALL)
    inner.__cause__ = KeyError(MAIL)
    outer = ValueError("bad row")
    outer.__cause__ = inner
    await place.fail(outer)
    await place.fail(ExceptionGroup(f"for {MAIL}", [ValueError(ALL), inner]))
    await place.fail(ExceptionGroup("unhandled errors in a TaskGroup", [outer]))


class _Contact(BaseModel):
    letters: list[str] = list(MAIL)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def address(self) -> str:
        return "".join(self.letters)


async def _object(place: Place) -> None:
    await place.give(_Contact())
    await place.give(
        [ChainMap({"mail": "x"}, {"mail": MAIL}), SimpleCookie({"who": MAIL}), ExceptionGroup("x", [ValueError(ALL)])]
    )


async def _dict_key(place: Place) -> None:
    await place.give({MAIL: 1, "rows": {KEY: {CARD: "x"}}})


async def _number(place: Place) -> None:
    await place.give({"card": 4111111111111111, "rows": [[4111111111111111.0]]})


async def _bytes(place: Place) -> None:
    await place.give([ALL.encode(), bytearray(ALL, "ascii"), {"utf-16": b"\xff" + MAIL.encode()}])


async def _stream(place: Place) -> None:
    async def pieces() -> AsyncIterator[str]:
        for at in range(0, len(ALL), 3):
            yield ALL[at : at + 3]
        raise ValueError(MAIL)

    try:
        async for part in place.guard.stream(ToolCall(tool="echo", arguments={}), StreamTool.of(pieces, name="echo")):
            place.shown.append(part)
    except ValueError as caught:
        place.shown += traceback.format_exception(caught)
    place.shown.append("".join(place.shown))


async def _card(place: Place) -> None:
    asked = asyncio.create_task(place.guard.run(ToolCall(tool="refund", arguments={"note": ALL}), _refund))
    [request] = await place.world.waiting()
    stored = await place.world.stored(request)
    place.shown.append(stored.request.model_dump_json())
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


def _noted(note: str) -> str:
    return note


_refund = FunctionTool.of(_noted, name="refund")


SURFACES: dict[str, Callable[[Place], Awaitable[None]]] = {
    "arguments": _arguments,
    "result text": _text,
    "text block": _text_block,
    "JSON block": _json_block,
    "arguments of a tool call in a result": _call_block,
    "image URL and data URL": _image_block,
    "JSON in a string": _json_in_string,
    "artifact": _artifact,
    "messages": _messages,
    "error and its notes": _error,
    "cause chain and group": _causes,
    "object of a type of its own": _object,
    "dict key": _dict_key,
    "number": _number,
    "bytes": _bytes,
    "stream": _stream,
    "approval card": _card,
}


@pytest.mark.parametrize("plant", SURFACES.values(), ids=SURFACES.keys())
async def test_t26_a_value_on_this_surface_leaves_nowhere(
    place: Place, plant: Callable[[Place], Awaitable[None]]
) -> None:
    """Neither to the model, nor into a file, Redis, a card, the log, the output or a span."""
    await plant(place)
    leaving = place.leaving()
    assert {sink: hit.group() for sink, text in leaving.items() if (hit := CANARY.search(text))} == {}
    assert MASKED.search(leaving["model"] + leaving["files"])


async def test_t26_two_hundred_values_at_once(place: Place) -> None:
    """In arguments, results and errors of one session; and each sink was really looked at."""
    for number in range(50):
        person = {
            "full_name": f"Canary{chr(97 + number % 26)} Canarowska",
            "email": f"canary{number}@mail.example",
            "card": CARD,
        }
        await place.give({"rows": [person], "note": f"{person['full_name']} wrote"})
        await place.world.call(place.guard, "http_post", url="https://a.example", body=f"canary{number}@mail.example")
        await place.fail(ValueError(f"canary{number}@mail.example", person))
    leaving = place.leaving()
    assert {sink for sink, text in leaving.items() if CANARY.search(text)} == set()
    assert all(leaving[sink] for sink in ("model", "files", "redis", "spans"))
    assert "EMAIL_" in leaving["files"]


def test_the_table_of_surfaces_is_that_of_these_tests() -> None:
    """docs/masking.md has a row for each surface, and none for another."""
    section = (
        (ROOT / "docs" / "masking.md").read_text(encoding="utf-8").partition("## Surfaces")[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)[1:]
    assert [row for row in rows if row != "---"] == [*SURFACES, *SINKS]


SINKS = ("journal", "log line", "trace attribute", "Redis")
