"""A small proxy in front of a server's socket, which misbehaves at the messages that it is told to, and notes permits as they pass.

Rules:
- a message is what a client sends at once; they are counted over all lines of one proxy, from 1;
- what is told about a message happens once; all other messages and replies pass unchanged;
- who is cut off may connect again; who is killed may not: the proxy of a dead process carries nothing any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from agentguard.approval import moves
from tests.faults.history import Recorder

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Fault(StrEnum):
    """What happens at a message."""

    CUT = "cut"
    """It never reaches the server, and the line breaks."""
    LOSE = "lose"
    """The server does what it says; its reply is lost, and the line breaks."""
    SWALLOW = "swallow"
    """The server does what it says; nothing ever comes back, and the line stays open."""
    HOLE = "hole"
    """Nothing reaches the server any more; the line stays open."""
    DELAY = "delay"
    """It arrives late."""
    KILL = "kill"
    """The sender dies before it is sent."""
    KILL_AFTER = "kill after"
    """The sender dies once it has arrived, before the reply."""


@dataclass(kw_only=True)
class Proxy:
    """Carries lines between clients of `path` and the server at `upstream`.

    `faults` come at messages, by their number; `at_scripts` when a script that the server has is first sent, by its name.
    """

    path: Path
    upstream: Path
    faults: Mapping[int, Fault] = field(default_factory=dict)
    at_scripts: dict[str, Fault] = field(default_factory=dict)
    delay_seconds: float = 0.05
    recorder: Recorder | None = None
    on_kill: Callable[[], None] = lambda: None
    seen: int = 0
    is_dead: bool = False
    _listener: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX))
    _lines: set[_Line] = field(default_factory=set)
    _carrying: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"unix://{self.path}"

    async def start(self) -> None:
        """Take clients."""
        self._listener.bind(str(self.path))
        self._listener.listen(128)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def close(self) -> None:
        """Cut everybody off, and take nobody any more."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self.path.unlink(missing_ok=True)
        carrying = list(self._carrying)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    def kill(self) -> None:
        """The process of these clients is dead."""
        if not self.is_dead:
            self.is_dead = True
            for line in list(self._lines):
                line.end()
            self.on_kill()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            if self.is_dead:
                client.close()
                return
            task = asyncio.get_running_loop().create_task(self._carry(client))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)
            task.add_done_callback(lambda _: client.close())

    async def _carry(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            near = await asyncio.open_unix_connection(sock=client)
            try:
                await self._joined(near)
            finally:
                near[1].transport.abort()

    async def _joined(self, near: Streams) -> None:
        far = await asyncio.open_unix_connection(str(self.upstream))
        line = _Line(proxy=self, client=near, server=far)
        self._lines.add(line)
        try:
            await line.carry()
        finally:
            far[1].transport.abort()
            self._lines.discard(line)

    def next_fault(self, message: bytes) -> Fault | None:
        """What happens at the message that has just come."""
        self.seen += 1
        for name in self.at_scripts:
            if getattr(moves, name.upper()).sha.encode() in message:
                return self.at_scripts.pop(name)
        return self.faults.get(self.seen)

    def permit_asked(self, message: bytes) -> str:
        """Note a permit that is asked for; gives what to end it by."""
        redeem = moves.REDEEM
        if self.recorder is None or not (redeem.sha.encode() in message or redeem.source.encode() in message):
            return ""
        given = words_of(message)
        count = int(given[4])
        request, _, fence, *rest = given[5 + count :]
        return self.recorder.begin("permit", request=request, fence=fence, agent=rest[-2], tool=rest[-1])


@dataclass(kw_only=True, eq=False)
class _Line:
    """One client's line."""

    proxy: Proxy
    client: Streams
    server: Streams
    mute: Fault | None = None
    permit: str = ""

    async def carry(self) -> None:
        pumps = [asyncio.create_task(self._outward()), asyncio.create_task(self._back())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    def end(self) -> None:
        for _, writer in (self.client, self.server):
            writer.transport.abort()

    async def _outward(self) -> None:
        reader, writer = self.client[0], self.server[1]
        while message := await reader.read(1 << 20):
            fault = self.proxy.next_fault(message)
            match fault:
                case Fault.CUT:
                    return
                case Fault.KILL:
                    self.proxy.kill()
                    return
                case Fault.LOSE | Fault.SWALLOW | Fault.KILL_AFTER:
                    self.mute = fault
                case Fault.HOLE:
                    await asyncio.Event().wait()
                case Fault.DELAY:
                    await asyncio.sleep(self.proxy.delay_seconds)
            self.permit = self.proxy.permit_asked(message) or self.permit
            writer.write(message)
            await writer.drain()

    async def _back(self) -> None:
        reader, writer = self.server[0], self.client[1]
        while reply := await reader.read(1 << 20):
            if self.permit and self.proxy.recorder is not None:
                said = "redeemed" if b"redeemed" in reply else "missing script" if b"NOSCRIPT" in reply else "refused"
                self.proxy.recorder.end(self.permit, said)
                self.permit = ""
            match self.mute:
                case Fault.LOSE:
                    return
                case Fault.KILL_AFTER:
                    self.proxy.kill()
                    return
                case Fault.SWALLOW:
                    continue
            writer.write(reply)
            await writer.drain()


def words_of(message: bytes) -> Sequence[str]:
    """The words of one command as a client writes it (RESP); what isn't text is replaced."""
    rest, words = message, []
    head, _, rest = rest.partition(b"\r\n")
    for _ in range(int(head[1:])):
        length, _, rest = rest.partition(b"\r\n")
        size = int(length[1:])
        words.append(rest[:size].decode(errors="replace"))
        rest = rest[size + 2 :]
    return words
