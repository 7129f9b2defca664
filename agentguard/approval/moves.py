"""The Lua scripts, one atomic move each; state.lua stands before every one of them."""

from __future__ import annotations

from importlib.resources import files

from agentguard.store.redis import Script


def _script(name: str) -> Script:
    folder = files("agentguard.approval") / "scripts"
    sources = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("state", name)]
    return Script(name, "\n".join(sources))


OPEN = _script("open")
READ = _script("read")
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
