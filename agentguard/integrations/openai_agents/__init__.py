"""The OpenAI Agents SDK behind a guard. Needs the extra `agents`.

    agent = guarded(guard, Agent(name="support", tools=[refund, find_customer], handoffs=[billing]))
    with guard.session(user="ann@acme.example", id="thread-1"):
        result = await Runner.run(agent, "Refund order 1042")
        print(await guard.answer(result.final_output))

`guarded` gives a copy of the agent, and of all those that it hands off to, that is still an instance of its class: with a gate in each
tool (see `gate`), those of MCP servers too, and a model that is sent masked text alone (see `model`).
"""

from agentguard.integrations.extras import needed_from

with needed_from("agents"):
    from agentguard.integrations.openai_agents.guarding import guard_model, guard_tools, guarded
    from agentguard.integrations.openai_agents.state import opened_state, sealed_session, sealed_state

__all__ = ["guard_model", "guard_tools", "guarded", "opened_state", "sealed_session", "sealed_state"]
