"""Text that arrives in pieces, masked as the whole would be.

Rules:
- a part goes out when it is settled (see `settled`), and never again changes;
- what stands around a part when it goes out is what its detectors see, up to KEPT characters before it;
- what waits is bounded: where it is longer than `held` it is masked whole, and what it goes on with is left out;
- after an error nothing more comes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from agentguard.masking.limits import Limits, refused
from agentguard.masking.looks import plain_text
from agentguard.masking.masked import Masked
from agentguard.masking.settled import PERSONAL_LINE, Settled, Settling

KEPT = 512
_LONGEST_KEPT = 8_192
_GROWTH = 4
_TOO_LONG = "[TEXT redacted]"
_NOTHING = Masked(value="", tokens=(), entities={}, changed=False)


class Part(NamedTuple):
    """A masked part of a text, and where in the text it ends."""

    masked: Masked
    end: int


class MaskedStream:
    """One text in pieces. Made by `Masker.stream`; `feed` each piece, then `finish`."""

    def __init__(self, mask_part: Callable[[str, int, int], Part], settling: Settling, limits: Limits) -> None:
        self._mask_part, self._settling, self._limits = mask_part, settling, limits
        self._seen = 0
        self._text = ""
        self._start = 0
        self._sure = 0
        self._read_again = 0
        self._row = False
        self._over: str | None = None
        self._failed = False

    def feed(self, piece: str) -> Masked:
        """What can go out after one more piece; its `value` may be empty. Raises GuardUnavailable, then and ever after."""
        return self._guarded(piece, last=False)

    def finish(self, piece: str = "") -> Masked:
        """What is left, with the last piece."""
        return self._guarded(piece, last=True)

    def _guarded(self, piece: str, *, last: bool) -> Masked:
        if self._failed:
            raise refused("this stream has failed or is finished; begin a new one")
        self._failed = True
        if not isinstance(piece, str):
            raise refused(f"a stream of text was given a {type(piece).__name__}; give it text")
        piece = plain_text(piece)
        self._seen += len(piece)
        if self._seen > self._limits.characters:
            raise refused(f"more than {self._limits.characters} characters in one value")
        masked = self._fed(piece, last=last)
        self._failed = last
        return masked

    def _fed(self, piece: str, *, last: bool) -> Masked:
        self._text += self._after_too_long(piece)
        if last:
            return self._out(len(self._text))
        if len(self._text) < self._read_again or (self._row and "\n" not in piece):
            return _NOTHING
        out = []
        settled = self._settling.read(self._text, self._start, self._sure)
        while settled.doubtful is not None:
            out.append(self._decided(*settled.doubtful))
            settled = self._settling.read(self._text, self._start, self._sure)
        out.append(self._out(settled.end))
        self._row = settled.table is not None
        self._forget(settled)
        waiting = len(self._text) - self._start
        if waiting > self._limits.held:
            out.append(self._too_long())
        self._read_again = len(self._text) + (waiting // _GROWTH if waiting > KEPT else 0)
        return _together(out)

    def _decided(self, line: int, end: int) -> Masked:
        """Read a key that has been in doubt for too long as a person's."""
        out = self._out(line)
        at = max(line, 0) if line <= self._start else self._start
        self._text = self._text[:at] + PERSONAL_LINE + self._text[at:]
        self._start += len(PERSONAL_LINE)
        self._sure = end + len(PERSONAL_LINE)
        return out

    def _out(self, end: int) -> Masked:
        if end <= self._start:
            return _NOTHING
        part = self._mask_part(self._text, self._start, end)
        self._start = part.end
        return part.masked

    def _forget(self, settled: Settled) -> None:
        """Drop what has gone out and is not needed to read what follows. Of an open table the header stays."""
        if settled.table is not None:
            rows, last = settled.table
            if last <= self._start and last - rows > 2 * KEPT:
                first = self._text.find("\n", last - KEPT) + 1
                self._cut(rows, first)
            return
        least = max(min(settled.kept, self._start - KEPT), self._start - _LONGEST_KEPT)
        if least > KEPT:
            first = next((at for at in range(least, self._start) if self._text[at].isspace()), self._start)
            self._cut(0, first)

    def _cut(self, start: int, end: int) -> None:
        self._text = self._text[:start] + self._text[end:]
        self._start -= end - start
        self._sure = max(0, self._sure - (end - start))

    def _too_long(self) -> Masked:
        """What goes out in place of a candidate that is longer than may be held; a word is left out to its end, all else to the end."""
        waiting = self._text[self._start :]
        self._over = "" if any(map(str.isspace, waiting)) else " \t\r\n"
        self._text = self._text[: self._start]
        return Masked(value=_TOO_LONG, tokens=(), entities={"TEXT": 1}, changed=True)

    def _after_too_long(self, piece: str) -> str:
        """What of a piece comes after the candidate that was too long."""
        if self._over is None:
            return piece
        ends = [at for mark in self._over if (at := piece.find(mark)) != -1]
        if not ends:
            return ""
        self._over = None
        return piece[min(ends) :]


def _together(parts: Sequence[Masked]) -> Masked:
    """Parts that go out one after the other, as one."""
    if len(parts) == 1:
        return parts[0]
    entities: Counter[str] = Counter()
    for part in parts:
        entities.update(part.entities)
    return Masked(
        value="".join(part.value for part in parts),
        tokens=tuple({token.text: token for part in parts for token in part.tokens}.values()),
        entities=dict(entities),
        changed=any(part.changed for part in parts),
        hidden=tuple({token.text: token for part in parts for token in part.hidden}.values()),
    )
