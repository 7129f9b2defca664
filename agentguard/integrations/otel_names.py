"""The names of spans and attributes: those of OpenTelemetry's conventions for generative AI (in development), and the guard's own."""

from __future__ import annotations

SCOPE = "agentguard"

SPAN = "execute_tool {tool}"
OPERATION_NAME, EXECUTE_TOOL = "gen_ai.operation.name", "execute_tool"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE, FUNCTION = "gen_ai.tool.type", "function"
TOOL_CALL_ID = "gen_ai.tool.call.id"
AGENT_NAME = "gen_ai.agent.name"
ERROR_TYPE = "error.type"
DURATION, DURATION_UNIT = "gen_ai.execute_tool.duration", "s"

EFFECT = "agentguard.effect"
RISK = "agentguard.risk"
RULES = "agentguard.rules"
OUTCOME = "agentguard.outcome"
ENTITIES = "agentguard.entities.{entity_type}"
