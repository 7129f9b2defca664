"""LangChain tools behind a guard.

`guard_tools(guard, tools)` gives a copy of each tool that is still an instance of its class, with the same name, description,
schema, injected arguments, artifact, `return_direct`, tags, metadata and callbacks, sync and async. `guarded(guard, tools)` gives
`create_agent` its `tools=` and the `middleware=` that masks around the model. The gate stands in the tool itself: no middleware,
executor or direct call gets around it, and none can change the arguments after they were approved.

A refused call is an error result that the model reads; `agentguard.integrations.answers` says what is raised instead. Called without an
id of the call, as `tool.invoke({"x": 1})`, a tool gives the text of that result.

LangGraph strips injected arguments that a model forges. Who calls a tool without it, `tool.invoke(message.tool_calls[0])`, fills injected
arguments himself, as without a guard, and must drop what the model put there.

The middleware needs the extra `langchain`, and is imported by `guarded` alone.
"""

from agentguard.integrations.langchain.guarding import AgentKeywords, guard_tools, guarded

__all__ = ["AgentKeywords", "guard_tools", "guarded"]
