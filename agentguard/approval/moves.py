"""The Lua scripts, one atomic move each; keys.lua and state.lua stand before every one of them.

Rules:
- each key of a move stands in its KEYS; to Redis they are all arguments but one, the tenant's event stream, which both sides may write:
  where a key is declared, access rules want the right to write it, and each side only reads what the other one writes;
- all keys of a tenant lie in one slot, so the event stream leads a cluster to the right node.
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


def _script(name: str, *, writes: bool = True) -> Script:
    folder = files("agentguard.approval") / "scripts"
    sources = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("keys", "state", name)]
    return Script(name, "\n".join(sources), writes)


OPEN = _script("open")
READ = _script("read", writes=False)
VOTE = _script("vote")
WITHDRAW = _script("withdraw")
EXPIRE = _script("expire")
DEFER = _script("defer")
REDEEM = _script("redeem")
RENEW = _script("renew")
FINISH = _script("finish")
EDIT = _script("edit")
REVISE = _script("revise")
REMEMBER = _script("remember")
USE = _script("use")
BEGIN = _script("begin")
END = _script("end")
SETTLE = _script("settle")
FREEZE = _script("freeze")
LIFT = _script("lift")
