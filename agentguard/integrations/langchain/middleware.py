"""What stands around the model of a LangChain agent, as the gate stands in its tools. Needs the extra `langchain`.

Rules:
- nothing is sent to the model but what it may see, in each of its calls: system prompt, the user's words, its own calls, results;
- what the user wrote is kept in the agent's state masked too, so that later checkpoints, traces and streams hold tokens;
- the final answer is restored for its user as far as policy lists (`masking.answer`), outside the state: no checkpoint holds it;
- a tool that came in past `guarded` (from another middleware, say) is gated here before it runs;
- a tool that runs at the model's provider is offered to the model only where policy allows its name without asking anybody.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NotRequired, cast

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, SystemMessage
from langchain_core.tools import BaseTool
from langgraph.channels import UntrackedValue
from langgraph.prebuilt.tool_node import ToolCallRequest

from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain.gate import Gated
from agentguard.integrations.langchain.guarding import guard_tools
from agentguard.integrations.langchain.results import take_apart
from agentguard.integrations.langchain.tool import Turn, in_turn
from agentguard.integrations.names import recorded_name

_LOG = logging.getLogger("agentguard.langchain")
_CONVERSATION = "conversation"


class AnsweredState(AgentState[Any]):
    """The state of a guarded agent. `answer`: the final answer as its user may read it; never in a checkpoint."""

    answer: NotRequired[Annotated[str, UntrackedValue(str, guard=False)]]


class AgentGuardMiddleware(AgentMiddleware[AnsweredState, Any, Any]):
    """Masks what goes to the model, and restores the final answer. `guarded` gives it to `create_agent` with the tools."""

    state_schema = AnsweredState

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.guard = guard

    def before_model(self, state: AnsweredState, runtime: Any) -> dict[str, Any] | None:
        """Keep in the state what the model may see of the conversation."""
        messages = state["messages"]
        return _changed(messages, self._masked(messages))

    async def abefore_model(self, state: AnsweredState, runtime: Any) -> dict[str, Any] | None:
        """See before_model."""
        messages = state["messages"]
        return _changed(messages, await self._amasked(messages))

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Send the model nothing but what it may see."""
        masked = self._masked(_all_messages(request))
        return handler(self._request(request, masked))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """See wrap_model_call."""
        masked = await self._amasked(_all_messages(request))
        return await handler(self._request(request, masked))

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        """Run no tool that has no gate, and let the gate know the message that the call stands in."""
        with _turn(request):
            return handler(self._gated(request))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """See wrap_tool_call."""
        with _turn(request):
            return await handler(self._gated(request))

    def after_agent(self, state: AnsweredState, runtime: Any) -> dict[str, Any] | None:
        """Give the user the final answer, outside the state."""
        text = _final(state["messages"])
        return None if text is None else {"answer": self.guard.blocking.answer(text)}

    async def aafter_agent(self, state: AnsweredState, runtime: Any) -> dict[str, Any] | None:
        """See after_agent."""
        text = _final(state["messages"])
        return None if text is None else {"answer": await self.guard.answer(text)}

    def _masked(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        parts = [take_apart(message) for message in messages]
        masked = self.guard.blocking.masked([part.plain for part in parts], origin=_CONVERSATION)
        return [part.put_back(each) for part, each in zip(parts, masked, strict=True)]

    async def _amasked(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        parts = [take_apart(message) for message in messages]
        masked = await self.guard.masked([part.plain for part in parts], origin=_CONVERSATION)
        return [part.put_back(each) for part, each in zip(parts, masked, strict=True)]

    def _request(self, request: ModelRequest[Any], masked: list[BaseMessage]) -> ModelRequest[Any]:
        tools = [tool for tool in request.tools if isinstance(tool, BaseTool) or self._is_offered(tool)]
        if request.system_message is None:
            return request.override(messages=cast(list[AnyMessage], masked), tools=tools)
        system = masked[0]
        assert isinstance(system, SystemMessage)  # noqa: S101 - put_back keeps the kind
        return request.override(messages=cast(list[AnyMessage], masked[1:]), system_message=system, tools=tools)

    def _is_offered(self, tool: Any) -> bool:
        """Whether the model may be offered a tool that runs at its provider, past every gate."""
        if "function" in tool or ("input_schema" in tool and tool.get("type", "custom") == "custom"):
            return True  # the specification of a tool that runs here, and is gated here
        name = recorded_name(tool.get("name") or str(tool.get("type", "")))
        offered = self.guard.allows_unasked(name)
        if not offered:
            _LOG.warning("%s runs at the model's provider, and policy does not allow it unasked: left out", name)
        return offered

    def _gated(self, request: ToolCallRequest) -> ToolCallRequest:
        tool = request.tool
        if tool is None or isinstance(tool, Gated):
            return request
        return request.override(tool=guard_tools(self.guard, [tool])[0])


@contextmanager
def _turn(request: ToolCallRequest) -> Iterator[None]:
    """Inside, the gate knows the message that this call stands in."""
    before = in_turn.set(_turn_of(request))
    try:
        yield
    finally:
        in_turn.reset(before)


def _turn_of(request: ToolCallRequest) -> Turn | None:
    state, wanted = request.state, request.tool_call["id"]
    messages = state.get("messages", ()) if isinstance(state, Mapping) else ()
    for message in reversed(messages):
        calls = message.tool_calls if isinstance(message, AIMessage) else ()
        if any(call["id"] == wanted for call in calls):
            return Turn(id=" ".join(str(call["id"]) for call in calls), says=str(message.text))
    return None


def _all_messages(request: ModelRequest[Any]) -> list[BaseMessage]:
    system = [request.system_message] if request.system_message is not None else []
    return [*system, *request.messages]


def _changed(before: Sequence[BaseMessage], after: Sequence[BaseMessage]) -> dict[str, Any] | None:
    """The messages that masking changed; each takes the place of the one with its id."""
    changed = [new for old, new in zip(before, after, strict=True) if old.id is not None and new != old]
    return {"messages": changed} if changed else None


def _final(messages: Sequence[BaseMessage]) -> str | None:
    """The text of the last word, where it is the model's."""
    last = messages[-1] if messages else None
    return last.text if isinstance(last, AIMessage) and not last.tool_calls else None
