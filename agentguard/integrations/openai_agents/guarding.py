"""Guarded copies of the SDK's agents, tools and models."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from agents import Agent, FunctionTool, Handoff, Model, ModelProvider, MultiProvider, RunContextWrapper, Tool

from agentguard.errors import ConfigurationError
from agentguard.guard.pipeline import Guard
from agentguard.integrations.names import check_names, recorded_name
from agentguard.integrations.openai_agents.gate import Gate
from agentguard.integrations.openai_agents.model import GuardedModel, check_runs_elsewhere
from agentguard.integrations.openai_agents.tool import AgentsTool
from agentguard.integrations.token_places import let_tokens_in

A = TypeVar("A", bound=Agent[Any])


def guarded(
    guard: Guard,
    agent: A,
    *,
    model_provider: ModelProvider | None = None,
    hold_seconds: float | None = None,
    interrupts: bool = False,
) -> A:
    """A guarded copy of an agent and of the agents that it hands off to.

    `model_provider` finds models by name, as `RunConfig` has it; `hold_seconds`, `interrupts`: see `guard_tools`. A `RunConfig(model=...)`
    takes the place of the agent's model: give it `guard_model(guard, ...)`. Raises ConfigurationError.
    """
    provider = model_provider or MultiProvider()
    guarding = _Guarding(guard=guard, provider=provider, hold_seconds=hold_seconds, interrupts=interrupts)
    made: A = guarding.agent(agent)
    return made


def guard_tools(
    guard: Guard, tools: Iterable[Tool], *, hold_seconds: float | None = None, interrupts: bool = False
) -> list[Tool]:
    """A guarded copy of each tool; one that runs at the model's provider passes where policy allows its name unasked.

    `hold_seconds`: how long a call waits for people before the model is told that it is pending; left out: until the deadline.
    `interrupts`: in place of that answer the run is interrupted (`result.interruptions`), and goes on once people decided: see
    `opened_state`. A call then waits for nobody, unless `hold_seconds` says so.

    Raises ConfigurationError for a tool that is guarded already, has no name that models can call or the name of another, runs on this
    machine without being a function, runs at the provider and is not allowed there, or is an agent that is not guarded.
    """
    given = list(tools)
    check_names(tool.name for tool in given if isinstance(tool, FunctionTool))
    hold = 0.0 if interrupts and hold_seconds is None else hold_seconds
    made = [_guarded(guard, tool, hold, interrupts) for tool in given]
    guard.expect(
        *(
            tool.on_invoke_tool.seen
            for tool in made
            if isinstance(tool, FunctionTool) and isinstance(tool.on_invoke_tool, Gate)
        )
    )
    return made


def guard_model(
    guard: Guard, model: Model | str | None, *, model_provider: ModelProvider | None = None
) -> GuardedModel:
    """A model that is sent masked text alone; a name is looked up at the first call."""
    return GuardedModel(guard, model, model_provider or MultiProvider())


class GuardedAgent(Agent[Any]):
    """The methods of a guarded agent, in front of those of its own class."""

    guarding_: ClassVar[_Guarding]

    async def get_mcp_tools(self, run_context: RunContextWrapper[Any]) -> list[Tool]:
        """See Agent.get_mcp_tools. Servers tell their tools anew in each turn."""
        return self.guarding_.tools(await super().get_mcp_tools(run_context))


@dataclass(kw_only=True)
class _Guarding:
    """Guards the agents of one `guarded`, each once, however they hand off to each other."""

    guard: Guard
    provider: ModelProvider
    hold_seconds: float | None
    interrupts: bool
    made: dict[int, tuple[Agent[Any], Any]] = field(default_factory=dict)

    def tools(self, tools: Iterable[Tool]) -> list[Tool]:
        return guard_tools(self.guard, tools, hold_seconds=self.hold_seconds, interrupts=self.interrupts)

    def agent(self, agent: Any) -> Any:
        if not isinstance(agent, Agent):
            raise ConfigurationError(f"a {type(agent).__name__} is no Agent that can be guarded; give an agents.Agent")
        if isinstance(agent, GuardedAgent):
            return agent
        if id(agent) in self.made:
            return self.made[id(agent)][1]
        made = copy.copy(agent)
        object.__setattr__(made, "__class__", self._kind(type(agent)))  # the fields are those of the class it had
        self.made[id(agent)] = (agent, made)
        made.tools = self.tools(agent.tools)
        made.model = guard_model(self.guard, agent.model, model_provider=self.provider)
        made.handoffs = [self._handoff(each) for each in agent.handoffs]
        return made

    def _kind(self, kind: type[Agent[Any]]) -> type[Agent[Any]]:
        """A subclass of the agent's class, by the same name."""
        members = {
            "__module__": kind.__module__,
            "__qualname__": kind.__qualname__,
            "__doc__": kind.__doc__,
            "guarding_": self,
        }
        bases = (GuardedAgent,) if kind is Agent else (GuardedAgent, kind)
        metaclass: Any = type(kind)
        made: type[Agent[Any]] = metaclass(kind.__name__, bases, members)
        return made

    def _handoff(self, given: Any) -> Any:
        """To a guarded agent, or by a handoff that gives one."""
        if not isinstance(given, Handoff):
            return self.agent(given)
        made, to = copy.copy(given), given._agent_ref() if given._agent_ref is not None else None

        async def on_invoke_handoff(context: RunContextWrapper[Any], arguments: str) -> Any:
            return self.agent(await given.on_invoke_handoff(context, arguments))

        made.on_invoke_handoff = on_invoke_handoff
        made._agent_ref = (
            None if to is None else weakref.ref(self.agent(to))
        )  # a run that is resumed finds its agent by this
        return made


def _guarded(guard: Guard, tool: Tool, hold_seconds: float | None, interrupts: bool) -> Tool:
    if not isinstance(tool, FunctionTool):
        check_runs_elsewhere(tool)
        if not guard.allows_unasked(recorded_name(tool.name)):
            raise ConfigurationError(
                f"{tool.name} runs at the model's provider, where no gate can stand; leave it out, or let policy allow it unasked"
            )
        return tool
    if isinstance(tool.on_invoke_tool, Gate):
        raise ConfigurationError(f"tool {tool.name} is guarded already; give guard_tools the bare tool")
    if tool._is_agent_tool and not isinstance(tool._agent_instance, GuardedAgent):
        raise ConfigurationError(
            f"the agent in tool {tool.name} has no guard; write guarded(guard, agent).as_tool(...)"
        )
    gate = Gate(guard=guard, seen=AgentsTool(tool), hold_seconds=hold_seconds, interrupts=interrupts)
    made = copy.copy(tool)
    made.on_invoke_tool = gate
    made.timeout_seconds = None  # the gate counts it, from the permit on
    made.output_json_schema = made._output_type_adapter = None  # the gate holds the tool to it, before masking
    if interrupts or callable(tool.needs_approval):
        made.needs_approval = gate.needs_approval
    made.params_json_schema = copy.deepcopy(made.params_json_schema)
    let_tokens_in(made.params_json_schema, guard.reveals(tool.name))
    return made
