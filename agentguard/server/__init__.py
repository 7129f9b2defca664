"""`agentguard serve`: the HTTP API where people decide, and the webhooks that tell other systems.

Each name is imported when it is first asked for: tokens can be made without the packages that serving needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentguard.server.app import create_app
    from agentguard.server.running import serve
    from agentguard.server.settings import ServerSettings, read_settings, token_path

__all__ = ["ServerSettings", "create_app", "read_settings", "serve", "token_path"]

_MODULE_OF = {
    "ServerSettings": "agentguard.server.settings",
    "create_app": "agentguard.server.app",
    "read_settings": "agentguard.server.settings",
    "serve": "agentguard.server.running",
    "token_path": "agentguard.server.settings",
}


def __getattr__(name: str) -> object:
    """The exported name, imported now and kept."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value
