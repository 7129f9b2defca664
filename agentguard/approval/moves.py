"""The Lua scripts, one atomic move each; keys.lua and state.lua stand before every one of them.

Rules:
- each key of a move stands in its KEYS; to Redis they are all arguments but one, the tenant's event stream, which both sides may write:
  where a key is declared, access rules want the right to write it, and each side only reads what the other one writes;
- all keys of a tenant lie in one slot, so the event stream leads a cluster to the right node;
- what stops calls, ends them or says how they ended is made on a server whose memory is full too; what would let one run is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from agentguard.store.names import Names
from agentguard.store.redis import Connection, Part, Script


async def make(connection: Connection, names: Names, move: Script, keys: Sequence[str], args: Sequence[Part]) -> Any:
    """Make a move on a tenant's keys. Raises GuardUnavailable; then nobody knows whether it was made."""
    return await connection.run(move, [names.events], [len(keys), *keys, *args])


def _script(name: str, *, writes: bool = True, when_full: bool = False) -> Script:
    folder = files("agentguard.approval") / "scripts"
    sources = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("keys", "state", name)]
    return Script(name, "\n".join(["#!lua flags=allow-oom", *sources] if when_full else sources), writes)


OPEN = _script("open")
READ = _script("read", writes=False)
VOTE = _script("vote", when_full=True)
WITHDRAW = _script("withdraw", when_full=True)
EXPIRE = _script("expire", when_full=True)
DEFER = _script("defer")
STEP = _script("step", when_full=True)
REDEEM = _script("redeem")
RENEW = _script("renew")
FINISH = _script("finish", when_full=True)
EDIT = _script("edit")
REVISE = _script("revise")
REMEMBER = _script("remember")
USE = _script("use")
BEGIN = _script("begin")
END = _script("end", when_full=True)
SETTLE = _script("settle", when_full=True)
FREEZE = _script("freeze", when_full=True)
LIFT = _script("lift", when_full=True)
