"""The `agentguard` command."""

from agentguard.cli.app import main

__all__ = ["main"]
