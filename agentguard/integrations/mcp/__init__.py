"""Servers of the Model Context Protocol behind a guard: `agentguard mcp` serves what is in here. Needs the extra `mcp`."""
