"""The road of one tool call: admit it, run it, settle it."""

from agentguard.guard.blocking import BlockingGuard
from agentguard.guard.permit import Permit
from agentguard.guard.pipeline import Guard

__all__ = ["BlockingGuard", "Guard", "Permit"]
