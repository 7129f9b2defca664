"""What users test with: requests that nobody made, and the contract that every notifier keeps. It needs no more than agentguard itself."""

from agentguard.testing.notifiers import NotifierContract, Trying
from agentguard.testing.requests import a_shown, a_turn

__all__ = ["NotifierContract", "Trying", "a_shown", "a_turn"]
