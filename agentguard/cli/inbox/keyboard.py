"""Keys as a person presses them, from the bytes of a terminal.

Rules:
- a sequence that stands for no key of ours is dropped whole: no letter in it passes for one that was pressed;
- what is pasted is told apart from what is typed, so that a paste presses nothing;
- what was typed before the screen was there is thrown away.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum


class Special(Enum):
    """A key that is no character."""

    UP = "up"
    DOWN = "down"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    HOME = "home"
    END = "end"
    ENTER = "enter"
    ESCAPE = "escape"
    BACKSPACE = "backspace"
    INTERRUPT = "interrupt"


@dataclass(frozen=True, slots=True)
class Pasted:
    """Text that came at once."""

    text: str


Key = Special | Pasted | str
"""A special key, a paste, or one character."""

PASTE_ON, PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"
ESCAPE_SECONDS = 0.05
"""How long an escape may stand alone before it is the key of that name."""

_SPECIAL = {
    **dict.fromkeys(("\x1b[A", "\x1bOA"), Special.UP),
    **dict.fromkeys(("\x1b[B", "\x1bOB"), Special.DOWN),
    **dict.fromkeys(("\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~"), Special.HOME),
    **dict.fromkeys(("\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"), Special.END),
    **dict.fromkeys(("\r", "\n", "\x1bOM"), Special.ENTER),
    **dict.fromkeys(("\x7f", "\x08"), Special.BACKSPACE),
    "\x1b[5~": Special.PAGE_UP,
    "\x1b[6~": Special.PAGE_DOWN,
    "\x03": Special.INTERRUPT,
}
_PASTE = re.compile(r"\x1b\[200~(?P<text>.*?)\x1b\[201~", re.DOTALL)
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[ -~]|\x1b[^\[O\x1b]", re.DOTALL)
_PASTE_BEGINS = "\x1b[200~"


@dataclass(kw_only=True)
class Decoder:
    """The keys in bytes that come in parts."""

    _left: str = ""
    _text: codecs.IncrementalDecoder = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))

    def feed(self, data: bytes) -> list[Key]:
        """The keys that are whole now."""
        self._left += self._text.decode(data)
        return list(self._whole())

    def rest(self) -> list[Key]:
        """What is left when nothing follows: an escape that begins no sequence is that key."""
        if self._left != "\x1b":
            return []
        self._left = ""
        return [Special.ESCAPE]

    def _whole(self) -> Iterator[Key]:
        while self._left:
            found = self._paste() if self._left.startswith(_PASTE_BEGINS) else self._one()
            if found is None:
                return
            length, key = found
            self._left = self._left[length:]
            if key is not None:
                yield key

    def _paste(self) -> tuple[int, Key] | None:
        found = _PASTE.match(self._left)
        return None if found is None else (found.end(), Pasted(found["text"]))

    def _one(self) -> tuple[int, Key | None] | None:
        """How many characters the first key takes, and which it is, if any of ours; None while it isn't whole."""
        if self._left.startswith("\x1b"):
            if self._left.startswith("\x1b\x1b"):
                return 1, Special.ESCAPE
            found = _SEQUENCE.match(self._left)
            return None if found is None else (found.end(), _SPECIAL.get(found[0]))
        first = self._left[0]
        return 1, _SPECIAL.get(first) or (first if first.isprintable() else None)


@dataclass(kw_only=True)
class Keyboard:
    """Gives each key of a terminal to `take`, on the running loop. `terminal` is its file descriptor."""

    terminal: int
    take: Callable[[Key], None]
    _decoder: Decoder = field(default_factory=Decoder)
    _alone: asyncio.TimerHandle | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen as long as this is open."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.terminal, self._came)
        try:
            yield
        finally:
            loop.remove_reader(self.terminal)

    def _came(self) -> None:
        """Bytes; at their end whoever sat there has left."""
        if self._alone is not None:
            self._alone.cancel()
        try:
            data = os.read(self.terminal, 4096)
        except OSError:
            data = b""
        self._give(self._decoder.feed(data) if data else [Special.INTERRUPT])
        self._alone = asyncio.get_running_loop().call_later(ESCAPE_SECONDS, lambda: self._give(self._decoder.rest()))

    def _give(self, keys: list[Key]) -> None:
        for key in keys:
            self.take(key)


@contextmanager
def each_key_at_once(terminal: int) -> Iterator[None]:
    """Give each key as it is pressed, and print none; afterwards the terminal is as it was. `terminal` is its file descriptor."""
    before = termios.tcgetattr(terminal)
    mode = termios.tcgetattr(terminal)
    mode[0] &= ~(termios.ICRNL | termios.IXON)
    mode[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(terminal, termios.TCSAFLUSH, mode)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
