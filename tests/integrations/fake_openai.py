"""An HTTP server on loopback that speaks OpenAI's chat completions and responses, scripted, and keeps all it was sent."""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class FakeOpenAI:
    """`script` says what the model answers next; `sent` is every request body, as it came over the wire."""

    def __init__(self) -> None:
        self.script: deque[dict[str, Any]] = deque()
        self.sent: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def says(self, *answers: dict[str, Any]) -> None:
        """Script these answers, in order."""
        self.script.extend(answers)

    def answer(self, path: str, body: str) -> dict[str, Any] | list[dict[str, Any]]:
        """The next scripted answer, in the form that the path has; a list is a stream of events."""
        self.sent.append(body)
        scripted = self.script.popleft()
        is_chat = path.endswith("/chat/completions")
        if json.loads(body).get("stream"):
            return _chunks(scripted) if is_chat else _events(scripted)
        return _completion(scripted) if is_chat else _response(scripted)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def text(content: str) -> dict[str, Any]:
    """The model says something."""
    return {"content": content, "calls": []}


def calls(*written: dict[str, Any]) -> dict[str, Any]:
    """The model calls tools."""
    return {"content": None, "calls": list(written)}


def call(id: str, name: str, arguments: str | dict[str, Any]) -> dict[str, Any]:
    """One call; text as arguments goes out as it is."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": id, "name": name, "arguments": written}


def free_text(id: str, name: str, input: str) -> dict[str, Any]:  # noqa: A002
    """One custom call."""
    return {"id": id, "name": name, "input": input}


def _completion(scripted: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": scripted["content"]}
    if scripted["calls"]:
        message["tool_calls"] = [_chat_call(one) for one in scripted["calls"]]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if scripted["calls"] else "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def _chat_call(one: dict[str, Any]) -> dict[str, Any]:
    if "input" in one:
        return {"id": one["id"], "type": "custom", "custom": {"name": one["name"], "input": one["input"]}}
    return {"id": one["id"], "type": "function", "function": {"name": one["name"], "arguments": one["arguments"]}}


def _response(scripted: dict[str, Any]) -> dict[str, Any]:
    output: list[dict[str, Any]] = [_response_call(one) for one in scripted["calls"]]
    if scripted["content"] is not None:
        content = [{"type": "output_text", "text": scripted["content"], "annotations": []}]
        output.append(
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
        )
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "scripted",
        "status": "completed",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def _pieces(content: str) -> list[str]:
    return [content[start : start + 3] for start in range(0, len(content), 3)]


def _chunks(scripted: dict[str, Any]) -> list[dict[str, Any]]:
    """A chat completion in pieces of three characters."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in _pieces(scripted["content"] or "")]
    deltas += [{"tool_calls": [{"index": index, **_chat_call(one)}]} for index, one in enumerate(scripted["calls"])]
    chunks = [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    return [*chunks, {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def _events(scripted: dict[str, Any]) -> list[dict[str, Any]]:
    """A response in pieces of three characters."""
    response, content = _response(scripted), scripted["content"] or ""
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    part = {"type": "output_text", "text": content, "annotations": []}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {**response, "output": []}}]
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    events += [{"type": "response.output_item.added", "item": item, "output_index": 0}]
    events += [{"type": "response.content_part.added", "part": {**part, "text": ""}, **at}]
    events += [{"type": "response.output_text.delta", "delta": piece, **at} for piece in _pieces(content)]
    events += [{"type": "response.output_text.done", "text": content, **at}]
    events += [{"type": "response.content_part.done", "part": part, **at}]
    events += [{"type": "response.output_item.done", "item": {**item, "content": [part]}, "output_index": 0}]
    events += [{"type": "response.completed", "response": response}]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _response_call(one: dict[str, Any]) -> dict[str, Any]:
    if "input" in one:
        return {"type": "custom_tool_call", "call_id": one["id"], "name": one["name"], "input": one["input"]}
    return {"type": "function_call", "call_id": one["id"], "name": one["name"], "arguments": one["arguments"]}


def _written(events: list[dict[str, Any]]) -> bytes:
    named = [(f"event: {event['type']}\n" if "type" in event else "", json.dumps(event)) for event in events]
    return "".join(f"{name}data: {data}\n\n" for name, data in [*named, ("", "[DONE]")]).encode()


def _handler(server: FakeOpenAI) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            given = server.answer(self.path, body)
            is_stream = isinstance(given, list)
            answer = _written(given) if isinstance(given, list) else json.dumps(given).encode()
            self.send_response(200)
            self.send_header("content-type", "text/event-stream" if is_stream else "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing is logged."""

    return Handler
