"""OpenAI's own client behind a guard: what goes out is masked, what comes back is restored as far as policy lists, streams too.

    client = guard_client(guard, OpenAI())

Rules:
- it stands in the client's HTTP, under every method that the client has: chat, responses, parsing, streaming, whatever comes next;
- a body that is no JSON, and so can't be masked, is not sent;
- the final answer is restored for the types of `masking.answer`; arguments of tool calls keep their tokens, for `dispatch` to restore;
- a session must be open where a call is made; where masking fails nothing is sent.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
from openai import AsyncOpenAI, OpenAI

from agentguard.errors import ConfigurationError
from agentguard.guard.answering import Answering
from agentguard.guard.pipeline import Guard
from agentguard.integrations.openai.wire import choice_deltas, conversation_of, output_text, restored, restored_event
from agentguard.store.doors import drive

C = TypeVar("C", OpenAI, AsyncOpenAI)

_BODILESS = frozenset({"GET", "HEAD", "DELETE"})
_DONE = "[DONE]"


def guard_client(guard: Guard, client: C) -> C:
    """The same client behind the guard. Raises ConfigurationError for one that is none of OpenAI's."""
    if isinstance(client, OpenAI):
        inner = client._client
        http = httpx2.Client(transport=_Sync(guard, inner), base_url=inner.base_url, timeout=inner.timeout)
        return client.copy(http_client=http)
    if isinstance(client, AsyncOpenAI):
        async_inner = client._client
        async_http = httpx2.AsyncClient(
            transport=_Async(guard, async_inner), base_url=async_inner.base_url, timeout=async_inner.timeout
        )
        return client.copy(http_client=async_http)
    raise ConfigurationError(f"a {type(client).__name__} is no client of OpenAI's; give OpenAI() or AsyncOpenAI()")


@dataclass(frozen=True)
class _Sync(httpx2.BaseTransport):
    guard: Guard
    inner: httpx2.Client

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        content = drive(_masked(self.guard, request.method, request.read()))
        answer = self.inner.send(_again(request, content), stream=True)
        if _is_stream(answer):
            return _response(answer, stream=_SyncEvents(answer, Restoring(self.guard.answering())))
        answer.read()
        return _response(answer, content=drive(_restored(self.guard, answer)))


@dataclass(frozen=True)
class _Async(httpx2.AsyncBaseTransport):
    guard: Guard
    inner: httpx2.AsyncClient

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        content = await _masked(self.guard, request.method, await request.aread())
        answer = await self.inner.send(_again(request, content), stream=True)
        if _is_stream(answer):
            return _response(answer, stream=_AsyncEvents(answer, Restoring(self.guard.answering())))
        await answer.aread()
        return _response(answer, content=await _restored(self.guard, answer))


@dataclass(frozen=True)
class _SyncEvents(httpx2.SyncByteStream):
    answer: httpx2.Response
    restoring: Restoring

    def __iter__(self) -> Iterator[bytes]:
        for line in self.answer.iter_lines():
            yield from drive(self.restoring.line(line))

    def close(self) -> None:
        self.answer.close()


@dataclass(frozen=True)
class _AsyncEvents(httpx2.AsyncByteStream):
    answer: httpx2.Response
    restoring: Restoring

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for line in self.answer.aiter_lines():
            for piece in await self.restoring.line(line):
                yield piece

    async def aclose(self) -> None:
        await self.answer.aclose()


@dataclass(kw_only=True)
class _Text:
    """One text of a stream: what restores it, and the last event that brought a piece, to bring the rest in."""

    answering: Answering
    last: dict[str, Any] | None = None


@dataclass
class Restoring:
    """Restores the texts of one stream of server-sent events, line by line."""

    answering: Answering
    texts: dict[str, _Text] = field(default_factory=dict)

    async def line(self, line: str) -> list[bytes]:
        """What a line becomes."""
        name, _, data = line.partition(":")
        if name != "data":
            return []  # the event's name is written anew, from its data
        if data.strip() == _DONE:
            return [f"data: {_DONE}\n\n".encode()]
        try:
            event = json.loads(data)
        except ValueError:
            return []  # no event that a client could read
        return [_written(each) for each in await self._events(event)] if isinstance(event, dict) else []

    async def _events(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        for name, delta, ends in choice_deltas(event):
            await self._grow(name, delta, ends=ends)
        text = output_text(event)
        if text and event.get("type") == "response.output_text.delta":
            known = self._text(text)
            event["delta"] = await known.answering.feed(str(event.get("delta", "")))
            known.last = event
            return [event]
        rest = await self._rest(text) if text else []
        return [*rest, await restored_event(event, self._whole)]

    async def _grow(self, name: str, delta: dict[str, Any], *, ends: bool) -> None:
        content = delta.get("content")
        if not isinstance(content, str) and not ends:
            return
        answering = self._text(name).answering
        shown = await answering.finish(content or "") if ends else await answering.feed(str(content))
        if shown or isinstance(content, str):
            delta["content"] = shown

    async def _rest(self, text: str) -> list[dict[str, Any]]:
        """One more event with what was held back of a text that ends."""
        known = self.texts.pop(text, None)
        if known is None or known.last is None:
            return []
        held = await known.answering.finish()
        return [{**known.last, "delta": held}] if held else []

    async def _whole(self, text: str) -> str:
        return await self._fresh().finish(text)

    def _text(self, name: str) -> _Text:
        return self.texts.setdefault(name, _Text(answering=self._fresh()))

    def _fresh(self) -> Answering:
        """For another text of the same session."""
        same = self.answering
        return Answering(principal=same.principal, tokens=same.tokens, records=same.records, in_force=same.in_force)


async def _masked(guard: Guard, method: str, content: bytes) -> bytes:
    if method in _BODILESS and not content:
        return content
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ConfigurationError(
            "only JSON can be masked, so this is not sent; use the bare client for files and sound"
        )
    return json.dumps({**body, **await guard.masked(conversation_of(body), origin="conversation")}).encode()


async def _restored(guard: Guard, answer: httpx2.Response) -> bytes:
    if not answer.is_success or "json" not in answer.headers.get("content-type", ""):
        return answer.content
    return json.dumps(await restored(json.loads(answer.content), guard.answer)).encode()


def _written(event: dict[str, Any]) -> bytes:
    """One server-sent event."""
    named = f"event: {event['type']}\n" if isinstance(event.get("type"), str) else ""
    return f"{named}data: {json.dumps(event)}\n\n".encode()


def _again(request: httpx2.Request, content: bytes) -> httpx2.Request:
    """The same request with another body."""
    headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() != "content-length"]
    return httpx2.Request(
        request.method, request.url, headers=headers, content=content or None, extensions=request.extensions
    )


def _is_stream(answer: httpx2.Response) -> bool:
    return answer.is_success and answer.headers.get("content-type", "").startswith("text/event-stream")


def _response(answer: httpx2.Response, **body: Any) -> httpx2.Response:
    dropped = ("content-length", "content-encoding", "transfer-encoding")
    headers = [(name, value) for name, value in answer.headers.multi_items() if name.lower() not in dropped]
    return httpx2.Response(answer.status_code, headers=headers, extensions=answer.extensions, **body)
