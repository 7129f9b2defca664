"""The configuration files of MCP clients: where they are, which servers stand in them, and how each is put behind a guard."""
