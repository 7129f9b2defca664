"""What a tool says of itself: its name, description, schema and hints."""

from __future__ import annotations

from agentguard.model.record import Json, Record


class Hints(Record):
    """What a server claims about its tool (MCP's annotations); None: it claims nothing. A claim, and nothing that was checked."""

    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None

    @classmethod
    def of(cls, annotations: Json) -> Hints:
        """The hints among MCP's annotations, as JSON; whatever is no boolean is no claim."""
        given = annotations if isinstance(annotations, dict) else {}
        claims = {name: given.get(hint) for name, hint in _MCP.items()}
        return cls(**{name: claim for name, claim in claims.items() if isinstance(claim, bool)})


class Listing(Record):
    """One tool as it is listed to a model. `input_schema`: JSON Schema of its arguments.

    `besides`: what else a client is shown, which may reach a model too (a title, the schema of its results); None: nobody looked.
    """

    name: str
    description: str = ""
    input_schema: dict[str, Json] = {}
    hints: Hints = Hints()
    besides: dict[str, Json] | None = None


_MCP = {
    "read_only": "readOnlyHint",
    "destructive": "destructiveHint",
    "idempotent": "idempotentHint",
    "open_world": "openWorldHint",
}
