"""What a new process does; it imports nothing that it does not need."""

from __future__ import annotations

from pathlib import Path

from agentguard import Settings, open_guard


def echoed(folder: str, redis_url: str, tenant: str, user: str, value: str) -> str:
    """What the session's tool gives back, by a guard that this process opens itself on a world that is there."""
    there = Path(folder)
    settings = Settings(redis_url=redis_url, state_dir=there / "state", config_dir=there / "config", keys=None)
    with open_guard(there / "policies", agent="support", tenant=tenant, settings=settings) as guard:
        echo = guard.tool(name="echo")(lambda value: value)
        with guard.session(user=user, id="thread-1"):
            return str(echo(value))
