"""Whether Slack sent a press by HTTP, by the app's signing secret (Slack's signatures, version v0).

Rules:
- signed is `v0:{timestamp}:{body}`, HMAC-SHA256 over the raw bytes, before any of them is read as something else;
- each header stands there once and in its plain form: what is malformed is not signed, and no error;
- the time is at most WINDOW_SECONDS off; signatures are compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from starlette.datastructures import Headers

WINDOW_SECONDS = 300

_TIME = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


def is_signed(body: bytes, headers: Headers, secret: str, *, now_seconds: int) -> bool:
    """Whether these bytes are signed with this secret, and just now. An empty secret signs nothing."""
    times, signatures = (headers.getlist(f"x-slack-{name}") for name in ("request-timestamp", "signature"))
    if not secret or len(times) != 1 or len(signatures) != 1:
        return False
    if not (_TIME.fullmatch(times[0]) and _SIGNATURE.fullmatch(signatures[0])):
        return False
    if abs(int(times[0]) - now_seconds) > WINDOW_SECONDS:
        return False
    made = hmac.new(secret.encode(), b"v0:" + times[0].encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={made}", signatures[0])
