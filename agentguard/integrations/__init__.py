"""Translations of frameworks into calls and tools. Each package or module imports its own framework, so none is imported here."""
