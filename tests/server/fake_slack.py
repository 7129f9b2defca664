"""Slack's Web API and Socket Mode, as far as agentguard uses them, on loopback: it keeps what it was told, and presses buttons."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlencode

from aiohttp import WSMsgType, web

TEAM, CHANNEL, SECRET = "T0ACME", "C0APPROVALS", "8f742231b10e8888abcd99yyyzzz85a5"
WITHIN_SECONDS = 10.0


class FakeSlack:
    """A workspace. `users` are what `users.info` says of its people; `failing` is what the next posts answer instead.

    `unreachable`: methods whose calls are cut off. `answering`: cleared, no post is answered until it is set.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.users: dict[str, dict[str, Any]] = {}
        self.failing: list[str] = []
        self.unreachable: set[str] = set()
        self.answering = threading.Event()
        self.answering.set()
        self.emails: dict[str, str] = {}
        self.scopes = "chat:write,users:read,users:read.email"
        self.acknowledged: list[str] = []
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._socket: web.WebSocketResponse | None = None
        self._stopped: asyncio.Event | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """What clients take for Slack's Web API."""
        return f"http://127.0.0.1:{self.port}/api/"

    def __enter__(self) -> FakeSlack:
        started: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve(started)), daemon=True)
        self._thread.start()
        started.result(WITHIN_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stopped is not None
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(WITHIN_SECONDS)
        self._loop.close()

    def told(
        self, method: str, where: Callable[[dict[str, Any]], bool] = lambda _: True, *, count: int = 1
    ) -> dict[str, Any]:
        """The newest call of a method that fits, once there are so many."""
        give_up = time.monotonic() + WITHIN_SECONDS
        with self._changed:
            while len(found := [body for name, body in self.calls if name == method and where(body)]) < count:
                left = give_up - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"Slack was not told by {method}: {[name for name, _ in self.calls]}")
                self._changed.wait(left)
        return found[-1]

    def count(self, method: str) -> int:
        """How often a method was called."""
        with self._changed:
            return sum(name == method for name, _ in self.calls)

    def press_by_socket(self, payload: dict[str, Any]) -> None:
        """Send a press through Socket Mode, and wait until it is acknowledged."""
        envelope = f"envelope-{len(self.acknowledged)}-{time.monotonic_ns()}"
        message = {
            "type": "interactive",
            "envelope_id": envelope,
            "accepts_response_payload": False,
            "payload": payload,
        }
        asyncio.run_coroutine_threadsafe(self._send(message), self._loop).result(WITHIN_SECONDS)
        give_up = time.monotonic() + WITHIN_SECONDS
        with self._changed:
            while envelope not in self.acknowledged:
                if not self._changed.wait(give_up - time.monotonic()):
                    raise AssertionError("a press was not acknowledged")

    def connected(self) -> None:
        """Wait until somebody listens by Socket Mode."""
        give_up = time.monotonic() + WITHIN_SECONDS
        while self._socket is None:
            if time.monotonic() > give_up:
                raise AssertionError("nobody connected by Socket Mode")
            time.sleep(0.01)

    async def _send(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        await self._socket.send_str(json.dumps(message))

    async def _serve(self, started: Future[None]) -> None:
        self._stopped = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/socket", self._websocket)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        started.set_result(None)
        await self._stopped.wait()
        await runner.cleanup()

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        text = await request.text()
        body = json.loads(text) if text.startswith("{") else {**request.query, **await request.post()}
        with self._changed:
            self.calls.append((method, {**body, "authorization": request.headers.get("authorization", "")}))
            self._changed.notify_all()
            failing = self.failing.pop(0) if self.failing and method == "chat.postMessage" else ""
        if method == "chat.postMessage":
            await asyncio.to_thread(self.answering.wait, WITHIN_SECONDS)
        if method in self.unreachable and request.transport is not None:
            request.transport.close()
        if failing:
            return web.json_response({"ok": False, "error": failing})
        match method:
            case "apps.connections.open":
                return web.json_response({"ok": True, "url": f"ws://127.0.0.1:{self.port}/socket"})
            case "users.info":
                user = self.users.get(body["user"])
                return web.json_response(
                    {"ok": True, "user": user} if user else {"ok": False, "error": "user_not_found"}
                )
            case "auth.test":
                headers = {"x-oauth-scopes": self.scopes}
                return web.json_response({"ok": True, "team": "acme", "team_id": TEAM}, headers=headers)
            case "users.lookupByEmail":
                found = self.emails.get(body["email"])
                return web.json_response(
                    {"ok": True, "user": {"id": found}} if found else {"ok": False, "error": "users_not_found"}
                )
            case _:
                return web.json_response({"ok": True, "ts": f"1700000000.{len(self.calls):06}", "channel": CHANNEL})

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(json.dumps({"type": "hello"}))
        self._socket = socket
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                with self._changed:
                    self.acknowledged.append(json.loads(message.data).get("envelope_id", ""))
                    self._changed.notify_all()
        return socket


def member(**changed: Any) -> dict[str, Any]:
    """What Slack says of a full member."""
    return {
        "deleted": False,
        "is_bot": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "team_id": TEAM,
    } | changed


def press(
    message: dict[str, Any], action: str, user: str, *, trigger: str, team: str = TEAM, name: str = "somebody"
) -> dict[str, Any]:
    """What Slack sends when a user presses a button of a message."""
    blocks = message["blocks"] if isinstance(message["blocks"], list) else json.loads(message["blocks"])
    buttons = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]
    pressed = next(button for button in buttons if button.get("action_id") == action)
    return {
        "type": "block_actions",
        "trigger_id": trigger,
        "user": {"id": user, "team_id": team, "name": name},
        "team": {"id": team},
        "channel": {"id": CHANNEL},
        "actions": [{"action_id": action, "value": pressed.get("value"), "action_ts": trigger}],
    }


def submit(view: dict[str, Any], user: str, *, trigger: str, reason: str = "") -> dict[str, Any]:
    """What Slack sends when a user submits a modal."""
    read = view if isinstance(view, dict) else json.loads(view)
    return {
        "type": "view_submission",
        "trigger_id": trigger,
        "user": {"id": user, "team_id": TEAM},
        "team": {"id": TEAM},
        "view": {**read, "state": {"values": {"reason": {"reason": {"value": reason}}}}},
    }


def signed(payload: dict[str, Any], *, secret: str = SECRET, when: float | None = None) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a press that Slack sends by HTTP."""
    body = urlencode({"payload": json.dumps(payload)}).encode()
    stamp = str(int(time.time() if when is None else when))
    signature = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return body, {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={signature}",
    }
