"""LangChain tools of every shape, each noting how it ran, and every path on which LangChain calls a tool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, Tool, ToolException
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode, ToolRuntime
from langgraph.types import Command
from pydantic import BaseModel, Field

Ran = list[dict[str, Any]]
CALL_ID = "call_1"


def sync_function(ran: Ran, name: str) -> BaseTool:
    """A function."""

    def run(text: str, times: int = 2) -> str:
        ran.append({"text": text, "times": times})
        return text * times

    return StructuredTool.from_function(run, name=name, description="Repeat.")


def async_function(ran: Ran, name: str) -> BaseTool:
    """A coroutine function and nothing else."""

    async def run(text: str, times: int = 2) -> str:
        await asyncio.sleep(0)
        ran.append({"text": text, "times": times})
        return text * times

    return StructuredTool.from_function(coroutine=run, name=name, description="Repeat.")


def both_functions(ran: Ran, name: str) -> BaseTool:
    """A function and its async twin."""
    sync, twin = sync_function(ran, name), async_function(ran, name)
    return StructuredTool.from_function(sync.func, twin.coroutine, name=name, description="Repeat.")  # type: ignore[attr-defined]


def subclass(ran: Ran, name: str) -> BaseTool:
    """A class of one's own with fields of its own, without a schema."""

    class Repeat(BaseTool):
        name: str = "unset"
        description: str = "Repeat."
        ran: list[Any]
        suffix: str = "!"

        def _run(self, text: str, times: int = 2) -> str:
            self.ran.append({"text": text, "times": times})
            return text * times + self.suffix

    made = Repeat(name=name, ran=[])
    made.ran = ran
    return made


class Repetition(BaseModel):
    text: str = Field(alias="said", min_length=1)
    times: int = 2

    model_config = {"populate_by_name": True}


def subclass_with_schema(ran: Ran, name: str) -> BaseTool:
    """A class with a schema, both halves, and a run manager."""

    class Repeat(BaseTool):
        name: str = "unset"
        description: str = "Repeat."
        args_schema: type[BaseModel] = Repetition

        def _run(self, text: str, times: int, run_manager: Any = None) -> str:
            ran.append({"text": text, "times": times})
            return f"{text * times} {type(run_manager).__name__ != 'NoneType'}"

        async def _arun(self, text: str, times: int, run_manager: Any = None) -> str:
            return self._run(text, times, run_manager)

    return Repeat(name=name)


def with_runtime(ran: Ran, name: str) -> BaseTool:
    """The runtime of LangGraph, injected."""

    def run(text: str, runtime: ToolRuntime) -> str:
        ran.append({"text": text, "times": 2})
        return f"{text} {runtime.tool_call_id} {len(runtime.state['messages'])}"

    return StructuredTool.from_function(run, name=name, description="Repeat.")


def with_state(ran: Ran, name: str) -> BaseTool:
    """The graph's state, injected."""

    def run(text: str, messages: Annotated[list[Any], InjectedState("messages")]) -> str:
        ran.append({"text": text, "times": 2})
        return f"{text} {len(messages)}"

    return StructuredTool.from_function(run, name=name, description="Repeat.")


def with_call_id(ran: Ran, name: str) -> BaseTool:
    """The call's id, injected, and a message of one's own returned."""

    def run(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> ToolMessage:
        ran.append({"text": text, "times": 2})
        return ToolMessage(text, tool_call_id=tool_call_id, artifact={"text": text})

    return StructuredTool.from_function(run, name=name, description="Repeat.")


def with_artifact(ran: Ran, name: str) -> BaseTool:
    """Content for the model and an artifact for the program; the run ends with it."""

    def run(text: str) -> tuple[str, dict[str, Any]]:
        ran.append({"text": text, "times": 2})
        return text, {"text": text, "rows": [1, 2]}

    return StructuredTool.from_function(
        run, name=name, description="Repeat.", response_format="content_and_artifact", return_direct=True
    )


def with_json_schema(ran: Ran, name: str) -> BaseTool:
    """A JSON schema, as from MCP."""

    async def run(**given: Any) -> str:
        ran.append({"text": given["text"], "times": given.get("times", 2)})
        return str(given["text"])

    schema = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "times": {"type": "integer"}},
        "required": ["text"],
    }
    return StructuredTool(name=name, description="Repeat.", args_schema=schema, coroutine=run)


def single_input(ran: Ran, name: str) -> BaseTool:
    """A tool of old, with one argument and no schema."""

    def run(text: str) -> str:
        ran.append({"text": text, "times": 2})
        return text

    return Tool(name, run, "Repeat.")


def with_command(ran: Ran, name: str) -> BaseTool:
    """A change of the graph's state."""

    def run(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
        ran.append({"text": text, "times": 2})
        return Command(update={"messages": [ToolMessage(text, tool_call_id=tool_call_id)]})

    return StructuredTool.from_function(run, name=name, description="Repeat.")


def with_blocks(ran: Ran, name: str) -> BaseTool:
    """Content blocks."""

    def run(text: str) -> list[dict[str, Any]]:
        ran.append({"text": text, "times": 2})
        return [{"type": "text", "text": text}, {"type": "text", "text": "more"}]

    return StructuredTool.from_function(run, name=name, description="Repeat.")


def failing(ran: Ran, name: str) -> BaseTool:
    """A tool that fails and handles that itself."""

    def run(text: str) -> str:
        ran.append({"text": text, "times": 2})
        raise ToolException(f"can't repeat {text}")

    return StructuredTool.from_function(run, name=name, description="Repeat.", handle_tool_error=True)


Shape = Callable[[Ran, str], BaseTool]
SHAPES: dict[str, Shape] = {
    made.__name__: made
    for made in (
        sync_function,
        async_function,
        both_functions,
        subclass,
        subclass_with_schema,
        with_runtime,
        with_state,
        with_call_id,
        with_artifact,
        with_json_schema,
        single_input,
        with_command,
        with_blocks,
        failing,
    )
}


class Scripted(BaseChatModel):
    """A model that says what it was told to, and keeps all it was sent."""

    script: list[AIMessage]
    sent: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
        """The same model: it knows its tools by its script."""
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self.sent.append(list(messages))
        return ChatResult(generations=[ChatGeneration(message=self.script.pop(0))])


def written(name: str, arguments: dict[str, Any], id: str = CALL_ID) -> dict[str, Any]:
    """A call as a model writes it."""
    return {"type": "tool_call", "id": id, "name": name, "args": arguments}


def calling(*calls: dict[str, Any]) -> AIMessage:
    """A message that calls tools."""
    return AIMessage("", tool_calls=list(calls))


def graph_of(tools: list[BaseTool]) -> Any:
    """A graph with nothing but a node of tools."""
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "tools")
    return graph.compile()


def agent_of(tools: list[BaseTool], *script: AIMessage) -> tuple[Any, Scripted]:
    """An agent and its model."""
    model = Scripted(script=[*script, AIMessage("Done")])
    return create_agent(model, tools), model


@dataclass(frozen=True, kw_only=True)
class Path:
    """One way in which LangChain calls a tool. `graph`: it injects the state; `sync`: a tool without sync code can't take it."""

    call: Callable[[BaseTool, dict[str, Any]], Any]
    id: bool = False
    graph: bool = False
    sync: bool = False


async def _invoke(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return tool.invoke(arguments)


async def _invoke_call(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return tool.invoke(written(tool.name, arguments))


async def _run(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return tool.run(arguments, tool_call_id=CALL_ID)


async def _ainvoke(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return await tool.ainvoke(arguments)


async def _ainvoke_call(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return await tool.ainvoke(written(tool.name, arguments))


async def _arun(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return await tool.arun(arguments, tool_call_id=CALL_ID)


async def _batch(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return tool.batch([written(tool.name, arguments)])[0]


async def _abatch(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return (await tool.abatch([written(tool.name, arguments)]))[0]


async def _stream(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return next(iter(tool.stream(written(tool.name, arguments))))


async def _astream(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return await anext(tool.astream(written(tool.name, arguments)))


async def _in_thread(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return await asyncio.to_thread(tool.invoke, written(tool.name, arguments))


async def _with_retry(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return await tool.with_retry(stop_after_attempt=2).ainvoke(written(tool.name, arguments))


async def _events(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    events = [event async for event in tool.astream_events(written(tool.name, arguments), version="v2")]
    return events[-1]["data"]["output"]


async def _node(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    return graph_of([tool]).invoke({"messages": [calling(written(tool.name, arguments))]})["messages"][-1]


async def _anode(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    state = await graph_of([tool]).ainvoke({"messages": [calling(written(tool.name, arguments))]})
    return state["messages"][-1]


async def _agent(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    agent, _ = agent_of([tool], calling(written(tool.name, arguments)))
    return _tool_message(agent.invoke({"messages": [("user", "Go on")]}))


async def _aagent(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    agent, _ = agent_of([tool], calling(written(tool.name, arguments)))
    return _tool_message(await agent.ainvoke({"messages": [("user", "Go on")]}))


def _tool_message(state: dict[str, Any]) -> ToolMessage:
    return next(message for message in state["messages"] if isinstance(message, ToolMessage))


PATHS: dict[str, Path] = {
    "invoke": Path(call=_invoke, sync=True),
    "invoke a call": Path(call=_invoke_call, id=True, sync=True),
    "run": Path(call=_run, id=True, sync=True),
    "ainvoke": Path(call=_ainvoke),
    "ainvoke a call": Path(call=_ainvoke_call, id=True),
    "arun": Path(call=_arun, id=True),
    "batch": Path(call=_batch, id=True, sync=True),
    "abatch": Path(call=_abatch, id=True),
    "stream": Path(call=_stream, id=True, sync=True),
    "astream": Path(call=_astream, id=True),
    "in a thread": Path(call=_in_thread, id=True, sync=True),
    "with retry": Path(call=_with_retry, id=True),
    "astream_events": Path(call=_events, id=True),
    "node of tools": Path(call=_node, id=True, graph=True, sync=True),
    "node of tools, async": Path(call=_anode, id=True, graph=True),
    "agent": Path(call=_agent, id=True, graph=True, sync=True),
    "agent, async": Path(call=_aagent, id=True, graph=True),
}

_ASYNC_ONLY = {"async_function", "with_json_schema"}
_NEEDS_GRAPH = {"with_runtime", "with_state"}
_NEEDS_ID = {"with_call_id", "with_command"}

PAIRS = [
    (shape, path)
    for shape in SHAPES
    for path, way in PATHS.items()
    if not (way.sync and shape in _ASYNC_ONLY)
    and not (not way.graph and shape in _NEEDS_GRAPH)
    and not (not way.id and shape in _NEEDS_ID)
]
"""Every shape on every path that its bare tool can take."""
