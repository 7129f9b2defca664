"""Lua scripts as packages keep them: NAME.lua in their folder `scripts`."""

from __future__ import annotations

from importlib.resources import files

from agentguard.store.redis import Script


def script_of(package: str, name: str) -> Script:
    """The script of this name of a package."""
    return Script(name, (files(package) / "scripts" / f"{name}.lua").read_text(encoding="utf-8"))
