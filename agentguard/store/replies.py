"""What Redis answers: stream entries in one shape, and errors in plain words.

An error reply may quote keys and values, so its text is never passed on: only its code chooses the words.
"""

from __future__ import annotations

from typing import Any, cast

from redis.exceptions import DataError, RedisError, ResponseError

_WORDS = {
    "OOM": "its memory is full, so it takes no writes",
    "READONLY": "it is a read-only replica",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it has lost its primary",
    "CLUSTERDOWN": "the cluster is down",
    "MISCONF": "it can't write to its disk, so it takes no writes",
    "NOREPLICAS": "too few replicas are connected, so it takes no writes",
    "BUSY": "a script keeps it busy",
    "NOAUTH": "it wants a user and password",
    "WRONGPASS": "it refused the user or password",
    "NOPERM": "its user may not do this",
    "MOVED": "it is one node of a cluster, and another holds this key",
    "CROSSSLOT": "it is a cluster, and these keys lie on several nodes",
    "WRONGTYPE": "something else stands under a key of agentguard",
}


def reason(error: Exception) -> str:
    """Why there is no reply, in words without a key or a value."""
    if isinstance(error, UnicodeError | DataError):
        return "a value can't be written to it"
    code = _code(error)
    if code in _WORDS:
        return _WORDS[code]
    if code:
        return f"it refused a command ({code})"
    return f"it can't be reached or did not answer in time ({type(error).__name__})"


def events(reply: Any) -> list[tuple[str, dict[str, bytes]]]:
    """The entries of one stream in a reply to XREAD."""
    if not reply:
        return []
    entries = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
    return [(event_id.decode(), _fields(fields)) for event_id, fields in _flat(entries)]


def _code(error: BaseException | None) -> str:
    """The first word of an error reply, such as OOM; empty where the server gave none. redis-py wraps one to its greeting in another."""
    if not isinstance(error, RedisError):
        return ""
    first = error.status_code or (str(error).split(" ", 1)[0] if isinstance(error, ResponseError) else "")
    if first.isascii() and first.isalpha() and first.isupper() and len(first) <= 20:
        return first
    return _code(error.__cause__)


def _flat(entries: Any) -> list[Any]:
    """RESP3 wraps the entries of a stream in one list more."""
    return cast("list[Any]", entries[0] if entries and isinstance(entries[0][0], list) else entries)


def _fields(fields: Any) -> dict[str, bytes]:
    pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
    return {name.decode(): value for name, value in pairs}
