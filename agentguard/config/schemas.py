"""JSON Schemas of the files that people write, so that editors complete and check them.

They say what has the right form: what the loader refuses beyond that (an approval that nobody defined, a condition that doesn't compile),
`agentguard policy lint` tells.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel

from agentguard.approval.roster_file import RosterFile
from agentguard.model.record import Json
from agentguard.policy.cases import CaseFile
from agentguard.policy.document import Fragment, Root

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_NAMED = frozenset({"properties", "patternProperties", "$defs"})
_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
"""What pydantic leaves in its own words where a bound stands on a union."""


class Kind(StrEnum):
    """The kinds of files."""

    POLICY = "policy"
    FRAGMENT = "fragment"
    CASES = "cases"
    APPROVERS = "approvers"


_MODELS: dict[Kind, tuple[type[BaseModel], str]] = {
    Kind.POLICY: (Root, "policy.yaml"),
    Kind.FRAGMENT: (Fragment, "a file of tools and rules beside policy.yaml"),
    Kind.CASES: (CaseFile, "*.cases.yaml"),
    Kind.APPROVERS: (RosterFile, "approvers.yaml"),
}


def schema_of(kind: Kind) -> dict[str, Json]:
    """The JSON Schema of a kind of file."""
    model, title = _MODELS[kind]
    schema: dict[str, Json] = _tidied(model.model_json_schema())
    if kind is Kind.APPROVERS:
        for section in ("people", "groups", "signers"):
            schema["properties"][section]["propertyNames"] = {"pattern": _NAME}
        schema["properties"]["people"]["minProperties"] = 1
    return {"$schema": _DRAFT, "title": f"agentguard: {title}", **schema}


def _tidied(schema: Json, *, named: bool = False) -> Json:
    """A schema in JSON Schema's own words, closed where names have a form. `named`: its keys are names, and no words of JSON Schema."""
    if isinstance(schema, list):
        return [_tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if named:
        return {name: _tidied(inner) for name, inner in schema.items()}
    tidied = {
        _BOUNDS.get(word, word): inner if word in ("default", "const", "enum") else _tidied(inner, named=word in _NAMED)
        for word, inner in schema.items()
        if word != "title"
    }
    return {"additionalProperties": False, **tidied} if "patternProperties" in tidied else tidied
