"""What people are told of an error, on a command line: its own words, and the setting that says where what is broken is."""

from __future__ import annotations

from agentguard.errors import AgentGuardError, GuardUnavailable


def told(error: AgentGuardError) -> str:
    """The words of an error; of a Redis that does not do as it should, with the setting that names it."""
    if not isinstance(error, GuardUnavailable) or error.component != "redis":
        return str(error)
    from agentguard.config import Settings  # noqa: PLC0415 - slow to import, and hardly anything goes wrong

    if Settings().redis_url:
        return f"{error}; AGENTGUARD_REDIS_URL says where it is"
    return f"{error}; it is the embedded one, in AGENTGUARD_STATE_DIR"
