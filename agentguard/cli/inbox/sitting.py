"""One person in front of the inbox: keys, news from Redis and the screen, until they leave.

Rules:
- an event is a hint: at each one, at each deadline, and every few seconds without any, what waits is read anew;
- what is decided is signed with the person's own key, by the roster of that moment; keys and screen wait for no answer of Redis;
- where Redis is away the screen says so, nothing is decided, and it goes on by itself;
- whatever happens, the terminal is left as it was.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import assert_never

from rich.console import Console
from rich.live import Live

from agentguard.approval import Channel, Desk, Roster, Steps
from agentguard.cards import brief_of, face_of, turn_of
from agentguard.cli.approvals import changed
from agentguard.cli.inbox.board import LISTED_MAX, Act, Board, Change, Choose, Decide, Leave
from agentguard.cli.inbox.drawing import draw
from agentguard.cli.inbox.keyboard import PASTE_OFF, PASTE_ON, Key, Keyboard, Special, each_key_at_once
from agentguard.errors import AgentGuardError, DecisionRefused, GuardUnavailable
from agentguard.store.keys import SigningKey

BLOCK_MS = 5_000
"""How long one read of the event stream lasts, and so how old the screen may get where an event is lost."""

TICK_SECONDS = 1.0
RETRY_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Tick:
    """The screen is to be drawn: time passed, something was read, or the terminal has another size."""


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """The inbox of one person. `roster` gives today's people."""

    channel: Channel
    roster: Callable[[], Roster]
    person: str
    key: SigningKey
    board: Board
    console: Console = field(default_factory=lambda: Console(highlight=False))
    _comes: asyncio.Queue[Key | Tick] = field(default_factory=asyncio.Queue)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _acting: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Until the person leaves."""
        with self._warnings(), each_key_at_once(sys.stdin.fileno()), self._screen() as live:
            async with self._beside():
                self._draw(live)
                while not self._take(await self._comes.get()):
                    self._draw(live)

    def _take(self, came: Key | Tick) -> bool:
        """Take one thing in; whether the person leaves."""
        if isinstance(came, Tick):
            now = self.channel.clock.now_ms()
            if any(brief.deadline_ms <= now for brief in self.board.briefs):
                self._news.set()
            return False
        return self._do(self.board.press(came, at=time.monotonic()))

    def _do(self, act: Act | None) -> bool:
        match act:
            case None:
                pass
            case Leave():
                return True
            case Choose():
                self._news.set()
            case Decide():
                self._start(lambda: self._decide(act))
            case Change():
                self._start(lambda: self._change(act))
            case _:
                assert_never(act)
        return False

    def _start(self, acting: Callable[[], Awaitable[str]]) -> None:
        """Act beside the screen, one thing at a time, and tell what came of it."""
        self.board.is_busy, self.board.told = True, "..."

        async def act() -> None:
            try:
                self.board.told = await acting()
            except AgentGuardError as error:
                self.board.told = str(error)
            finally:
                self.board.is_busy = False
                self._news.set()

        task = asyncio.create_task(act())
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)

    async def _decide(self, act: Decide) -> str:
        decided = await self._desk().decide_together(
            act.cards, person=self.person, key=self.key, decision=act.decision, comment=act.comment
        )
        states = ", ".join(sorted({resolution.state.value for resolution in decided}))
        what = "the request is" if len(decided) == 1 else f"the {len(decided)} requests are"
        return f"{act.decision.value} by {self.person} is on record; {what} {states}"

    async def _change(self, act: Change) -> str:
        name, value = changed(act.written)
        desk = self._desk()
        edit = await desk.edit(act.request, {name: value}, person=self.person, key=self.key, card_digest=act.card)
        stored = await desk.answered(edit)
        return f"revision {stored.request.revision} waits for approval"

    def _desk(self) -> Desk:
        return Desk(channel=self.channel, roster=self.roster())

    async def _look(self) -> None:
        """Read what waits and the chosen request, whenever there are news."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._read()
            except GuardUnavailable:
                self.board.trouble = "Redis is away: this may be old, and nothing can be decided"
            except AgentGuardError as error:
                self.board.trouble = str(error)
            self._came(Tick())

    async def _read(self) -> None:
        desk = self._desk()
        await Steps(channel=self.channel).take_due()
        chosen = self.board.now_waits([brief_of(stored) for stored in await desk.list(at_most=LISTED_MAX)])
        face, turn = None, None
        try:
            if chosen:
                face = face_of(await desk.show(chosen))
                turn = turn_of(await desk.show_turn(chosen)) if self.board.shows_turn else None
        except DecisionRefused as refused:  # gone, or forged: it is no longer listed
            self.board.told = str(refused)
        if chosen == self.board.chosen:
            self.board.looks_at(face, turn)

    async def _events(self) -> None:
        """Tell of each event, of each break of the line, and after a while without either."""
        after = ""
        while True:
            self._news.set()
            try:
                after = after or await self._newest()
                events = await self.channel.connection.read_stream(self.channel.names.events, after, BLOCK_MS)
                after = events[-1][0] if events else after
            except GuardUnavailable:
                after = ""
                await asyncio.sleep(RETRY_SECONDS)

    async def _newest(self) -> str:
        newest = await self.channel.connection.newest(self.channel.names.events)
        self._news.set()
        return newest

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._came(Tick())

    def _came(self, one: Key | Tick) -> None:
        self._comes.put_nowait(one)

    def _draw(self, live: Live) -> None:
        columns, lines = self.console.size
        drawn = draw(self.board, columns=columns, lines=lines, now_ms=self.channel.clock.now_ms())
        self.board.top = drawn.top
        live.update(drawn.text, refresh=True)
        self.board.drawn(at=time.monotonic(), to_its_end=drawn.to_its_end)

    @contextmanager
    def _screen(self) -> Iterator[Live]:
        """The terminal's second screen; what stood there before comes back."""
        with Live(console=self.console, screen=True, auto_refresh=False) as live:
            self.console.file.write(PASTE_ON)
            try:
                yield live
            finally:
                self.console.file.write(PASTE_OFF)
                self.console.file.flush()

    @asynccontextmanager
    async def _beside(self) -> AsyncIterator[None]:
        """What goes on beside the screen: keys, signals, news and the clock."""
        loop = asyncio.get_running_loop()
        signals: dict[signal.Signals, Key | Tick] = {
            signal.SIGTERM: Special.INTERRUPT,
            signal.SIGHUP: Special.INTERRUPT,
            signal.SIGWINCH: Tick(),
        }
        for number, meaning in signals.items():
            loop.add_signal_handler(number, self._came, meaning)
        tasks = [asyncio.create_task(each) for each in (self._look(), self._events(), self._ticks())]
        try:
            with Keyboard(terminal=sys.stdin.fileno(), take=self._came).listening():
                yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
            await _end([*tasks, *self._acting])

    @contextmanager
    def _warnings(self) -> Iterator[None]:
        """What would be printed over the screen is told on it."""
        handler, logger = _Telling(self.board), logging.getLogger("agentguard")
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)


class _Telling(logging.Handler):
    """Puts the last warning on the board."""

    def __init__(self, board: Board) -> None:
        super().__init__(logging.WARNING)
        self._board = board

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it."""
        self._board.told = record.getMessage()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """End these; asked again and again, since before Python 3.12 a cancellation that comes together with a reply is dropped."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_ASK_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
