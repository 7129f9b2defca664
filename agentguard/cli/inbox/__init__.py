"""`agentguard inbox`: what waits, live on a terminal, decided with your own key."""

from agentguard.cli.inbox.command import inbox

__all__ = ["inbox"]
