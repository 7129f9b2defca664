"""Who sent a decision from outside, by the key that signed it, after the Standard Webhooks specification (asymmetric, `v1a`).

Rules:
- signed is `{id}.{timestamp}.{body}`, with an Ed25519 key that stands beside one person in approvers.yaml: that person it is;
- it is verified over the raw body, before a byte of it is read as anything;
- each header stands there once; the time is at most WINDOW_SECONDS off; an id has no dot, so that what is signed reads in one way only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

from agentguard.approval import Roster
from agentguard.store.keys import verify

WINDOW_SECONDS = 300
SIGNATURES_MAX = 4
"""Of so many signatures one may verify: an old key's and a new one's."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TIME = re.compile(r"[0-9]{1,12}")
_PREFIX = "v1a,"


class NotSigned(Exception):
    """Nobody of approvers.yaml signed this, or not now. `code` is for programs."""

    def __init__(self, code: str, told: str) -> None:
        super().__init__(told)
        self.code = code


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """The person whose key signed a message, and the message's id."""

    person: str
    message_id: str


def sender_of(headers: Headers, body: bytes, roster: Roster, *, now_seconds: int) -> Sender:
    """Who signed these bytes. Raises NotSigned."""
    message_id, timestamp, signatures = (
        _only(headers, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    )
    if not (_ID.fullmatch(message_id) and _TIME.fullmatch(timestamp)):
        raise NotSigned(
            "not_signed",
            "send webhook-id (letters, digits, '_', '-'), webhook-timestamp (seconds) and webhook-signature (v1a,...), each once",
        )
    if abs(int(timestamp) - now_seconds) > WINDOW_SECONDS:
        raise NotSigned("stale", f"it was signed more than {WINDOW_SECONDS} s from now, by this server's clock")
    signed = f"{message_id}.{timestamp}.".encode() + body
    made = [text.removeprefix(_PREFIX) for text in signatures.split(" ") if text.startswith(_PREFIX)]
    for person, entry in roster.people.items():
        if any(verify(key, signed, one) for key in entry.keys for one in made[:SIGNATURES_MAX]):
            return Sender(person=person, message_id=message_id)
    raise NotSigned("not_signed", "no key of approvers.yaml signed this: v1a, Ed25519 over {id}.{timestamp}.{body}")


def _only(headers: Headers, name: str) -> str:
    """The one value of a header; nothing where there are none or several."""
    found = headers.getlist(name)
    return found[0] if len(found) == 1 else ""
