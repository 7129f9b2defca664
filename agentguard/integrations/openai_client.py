"""`guard_client` of `agentguard.integrations.openai`, by itself."""

from agentguard.integrations.openai.client import guard_client

__all__ = ["guard_client"]
