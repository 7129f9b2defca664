"""Tells the guard what the user wrote, from the messages that an agent of LangChain is invoked with.

Rules:
- the user's words are the text of the human messages at the end of the input: what came before was told when it came;
- what a summary put in a human message's place is not the user's, nor is the message that a tool's own code sends to an agent inside it;
- a session must be open for it; where none is, no tool will run either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AnyMessage, HumanMessage

from agentguard.errors import NoSession
from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain.gate import inside_a_call


class Listening(AgentMiddleware[Any, Any]):
    """Hears the user's words before the agent does anything."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.guard = guard

    def before_agent(self, state: Any, runtime: Any) -> None:
        """See AgentMiddleware.before_agent."""
        text = users_words(state["messages"])
        if text and self._is_to_be_told():
            self.guard.blocking.user_said(text)

    async def abefore_agent(self, state: Any, runtime: Any) -> None:
        """See AgentMiddleware.abefore_agent."""
        text = users_words(state["messages"])
        if text and self._is_to_be_told():
            await self.guard.user_said(text)

    def _is_to_be_told(self) -> bool:
        try:
            self.guard.principals.current()
        except NoSession:
            return False
        return not inside_a_call()


def users_words(messages: Sequence[AnyMessage]) -> str:
    """The text of the human messages at the end."""
    found: list[str] = []
    for message in reversed(messages):
        if not isinstance(message, HumanMessage):
            break
        if "lc_source" not in message.additional_kwargs:
            found.append(str(message.text))
    return "\n".join(reversed(found))
