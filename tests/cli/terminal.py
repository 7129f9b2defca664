"""A real terminal with somebody in front of it: a command runs on its other side, keys are pressed, the screen is read."""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import struct
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.commands import LINES, Commands, Running

WITHIN_SECONDS = 20.0
INTERRUPT = "\x03"
_HOME = "\x1b[H"
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]")


@dataclass(kw_only=True)
class Terminal:
    """What a command on it has written so far."""

    ours: int
    columns: int
    lines: int
    running: Running | None = None
    written: str = ""
    _more: threading.Condition = field(default_factory=threading.Condition)

    def press(self, keys: str) -> None:
        """Press keys, one after the other."""
        os.write(self.ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        self.columns, self.lines = columns, lines
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    @property
    def screen(self) -> str:
        """The last screen that was written whole, without colours; empty before the first."""
        whole = [part for part in self.written.split(_HOME)[1:] if part.count("\n") >= self.lines - 1]
        return _CONTROL.sub("", whole[-1]).replace("\r", "") if whole else ""

    def until(self, holds: Callable[[str], bool]) -> str:
        """The first screen of which this holds; waited for."""
        with self._more:
            assert self._more.wait_for(lambda: holds(self.screen), WITHIN_SECONDS), self.screen
            return self.screen

    def shows(self, *texts: str) -> str:
        """The first screen with all of these on it; waited for."""
        return self.until(lambda screen: all(text in screen for text in texts))

    def answer(self, *answers: str) -> None:
        """Type an answer to each yes-or-no question, once it is asked."""
        for number, answer in enumerate(answers, start=1):
            self.asked("[y/N]", number)
            self.press(f"{answer}\n")

    def asked(self, question: str, times: int = 1) -> None:
        """Wait until this was written so often."""
        with self._more:
            assert self._more.wait_for(lambda: self.written.count(question) >= times, 3 * WITHIN_SECONDS), self.written

    def code(self) -> int:
        """The command's exit code, once it ended."""
        assert self.running is not None
        return self.running.returncode

    def read(self) -> None:
        """Take in what is written, until the terminal is closed."""
        text = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                data = os.read(self.ours, 65536)
            except OSError:
                return
            with self._more:
                self.written += text.decode(data)
                self._more.notify_all()


@contextmanager
def terminal(
    commands: Commands, *words: str, folder: Path, env: Mapping[str, str], columns: int = 100, lines: int = 40
) -> Iterator[Terminal]:
    """Run `agentguard WORDS` on a terminal of this size. It is told to end where a test left it running."""
    ours, theirs = os.openpty()
    made = Terminal(ours=ours, columns=columns, lines=lines)
    made.resize(columns, lines)
    own = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    path = os.ttyname(theirs)
    reader = threading.Thread(target=made.read, daemon=True)
    reader.start()
    files = dict.fromkeys(LINES, path)
    made.running = commands.begin(words, folder=folder, env=own | {"TERM": "xterm-256color"}, **files)
    try:
        yield made
    finally:
        made.press(INTERRUPT)
        made.code()
        os.close(theirs)
        reader.join(WITHIN_SECONDS)
        os.close(ours)
