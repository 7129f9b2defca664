"""Translations of frameworks into calls and tools. Each module imports its own framework, so none is imported here."""
