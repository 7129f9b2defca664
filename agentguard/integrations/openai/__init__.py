"""OpenAI's models behind a guard: the tool calls that they write, and the client that speaks with them."""

from agentguard.integrations.openai.client import guard_client
from agentguard.integrations.openai.dispatching import BlockingDispatch, Dispatch, dispatch

__all__ = ["BlockingDispatch", "Dispatch", "dispatch", "guard_client"]
