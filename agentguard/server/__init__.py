"""`agentguard serve`: the HTTP API where people decide, and the webhooks that tell other systems.

Each name is imported when it is first asked for: tokens can be made without the packages that serving needs.
"""

from typing import TYPE_CHECKING

from agentguard.model.on_demand import on_demand

if TYPE_CHECKING:
    from agentguard.server.app import create_app
    from agentguard.server.running import serve
    from agentguard.server.settings import ServerSettings, read_settings, token_path

__all__ = ["ServerSettings", "create_app", "read_settings", "serve", "token_path"]

__getattr__ = on_demand(
    __name__, {"app": "create_app", "running": "serve", "settings": "ServerSettings read_settings token_path"}
)
