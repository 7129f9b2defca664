"""The keyed chain of journal lines, and the head that says where a chain ends.

Rules:
- a line is compact JSON; its last member `mac` is HMAC-SHA256(key, MAC of the line before || the line without `mac`);
- the MAC covers the bytes as they stand in the file, so no byte can change, and no line can move;
- the first line of a chain follows 32 zero bytes;
- a head is one line of fixed width, rewritten in place: sequence number, segment, key id, MAC of the last line, own MAC.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from agentguard.model.keyed import KeyedHash
from agentguard.model.record import Json

START = bytes(32)
"""What stands in for the MAC before the first line of a chain."""

HEAD_BYTES = 20 + 1 + 6 + 1 + 16 + 1 + 64 + 1 + 64 + 1
"""How long a head is."""

_MAC = b',"mac":"'
_END = b'"}'
_TAIL = len(_MAC) + 64 + len(_END)
_HEX = re.compile(rb"[0-9a-f]{64}")
_HEAD = re.compile(rb"([0-9]{20}) ([0-9]{6}) ([0-9a-f]{16}) ([0-9a-f]{64}) ([0-9a-f]{64})\n")


def key_id(key: bytes) -> str:
    """A name for a key that gives nothing of it away."""
    return _keyed(key).digest(b"agentguard journal key id")[:8].hex()


def key_named(keys: Sequence[bytes], name: str) -> bytes | None:
    """The key with this id."""
    return next((key for key in keys if key_id(key) == name), None)


class Chaining:
    """Makes the lines and heads of one segment of the chain called `name` under one key."""

    __slots__ = ("_heads", "_lines", "_place", "_writer")

    def __init__(self, key: bytes, name: str, segment: int) -> None:
        self._writer = f',"writer":"{name}"'
        self._place = f" {segment:06d} {key_id(key)} "
        self._lines, self._heads = _keyed(key), _keyed_head(key, name)

    def line(self, body: bytes, *, kind: str, seq: int, time_ms: int, before: bytes) -> tuple[bytes, bytes]:
        """A line that follows the one with MAC `before`, newline included, and its own MAC.

        `kind` is a plain name, `body` is compact JSON.
        """
        said = f',"kind":"{kind}","seq":{seq},"time_ms":{time_ms}{self._writer}'
        unsigned = b"".join((b'{"body":', body, said.encode()))
        mac = self._lines.digest(before + unsigned)
        return b"".join((unsigned, _MAC, mac.hex().encode(), _END, b"\n")), mac

    def head(self, seq: int, mac: bytes) -> bytes:
        """The head of a chain whose last line has this number and MAC, and stands in this segment."""
        said = str(seq).zfill(20) + self._place + mac.hex()
        return f"{said} {self._heads.digest(said.encode()).hex()}\n".encode()


def link(key: bytes, before: bytes, unsigned: bytes) -> bytes:
    """The MAC of a line that follows the line with MAC `before`."""
    return _keyed(key).digest(before + unsigned)


class Parts(NamedTuple):
    """A line taken apart: what the MAC covers, and the MAC that it carries."""

    unsigned: bytes
    mac: bytes


def parts(text: bytes) -> Parts | None:
    """A line (without its newline) taken apart, or None where it does not have the form of one."""
    unsigned, tail = text[:-_TAIL], text[-_TAIL:]
    digits = tail[len(_MAC) : len(_MAC) + 64]
    if not (unsigned and tail.startswith(_MAC) and tail.endswith(_END) and _HEX.fullmatch(digits)):
        return None
    return Parts(unsigned, bytes.fromhex(digits.decode()))


def fields(unsigned: bytes) -> dict[str, Json] | None:
    """The members of a line without its MAC, or None where it is not a journal line."""
    try:
        found = json.loads(unsigned + b"}")
        if b"\\u" in unsigned:
            json.dumps(
                found, ensure_ascii=False
            ).encode()  # an escaped lone surrogate: reads well, can't be written again
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.keys() != {"body", "kind", "seq", "time_ms", "writer"}:
        return None
    typed = type(found["seq"]) is int and type(found["time_ms"]) is int and type(found["body"]) is dict
    named = type(found["kind"]) is str and type(found["writer"]) is str
    return found if typed and named else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a chain ends: its last sequence number, that line's segment and MAC, and the key that says so."""

    seq: int
    segment: int
    key_id: str
    mac: bytes


def read_head(text: bytes, keys: Sequence[bytes], name: str) -> Head | None:
    """The head of the chain called `name`, or None where its form, its key or its MAC is wrong."""
    match = _HEAD.fullmatch(text)
    if match is None:
        return None
    seq, segment, key_name, mac, said_mac = (found.decode() for found in match.groups())
    key = key_named(keys, key_name)
    if key is None or not hmac.compare_digest(_keyed_head(key, name).digest(text[:-66]).hex(), said_mac):
        return None
    return Head(seq=int(seq), segment=int(segment), key_id=key_name, mac=bytes.fromhex(mac))


def _keyed_head(key: bytes, name: str) -> KeyedHash:
    return KeyedHash(key, f"agentguard journal head\n{name}\n".encode())


_keyed = lru_cache(maxsize=32)(KeyedHash)
