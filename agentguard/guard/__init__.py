"""The road of one tool call: admit it, run it, settle it. What users need of it stands in `agentguard`."""
