"""The form of `masking`: the section of the root, and the knob of a tool."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from agentguard.model.record import Record
from agentguard.policy.forms import AnyEntityType, EntityType, Form, Name

_KEEP_MAX = 12


def _kind(value: Any) -> str:
    if not isinstance(value, (dict, BaseModel)):
        return "short"
    return "by type" if isinstance(value, dict) and not {"action", "keep"} & value.keys() else "entry"


FindingsAt = Annotated[
    str,
    Form(
        r"\*|[A-Z][A-Z0-9_]{0,63}|[^.\s]{1,100}(\.[^.\s]{1,100}){1,15}",
        "an entity type or a path",
        'write such as EMAIL_ADDRESS, "*" for all other types, or a path: "customer.note", "**.note"',
    ),
]
"""Which findings: those of a type, all others, or those under a path of keys."""

ActionName = Literal["allow", "token", "redact", "mask", "hmac", "generalise", "drop"]


class ActionEntry(Record):
    """`mask` with the number of characters at the end that stay."""

    action: Literal["mask"]
    keep: Annotated[int, Field(ge=0, le=_KEEP_MAX)]


ActionTerms = Annotated[
    Annotated[ActionName, Tag("short")] | Annotated[ActionEntry, Tag("entry")],
    Discriminator(lambda value: "entry" if isinstance(value, (dict, BaseModel)) else "short"),
]
ActionsThere = Annotated[
    Annotated[ActionName, Tag("short")]
    | Annotated[ActionEntry, Tag("entry")]
    | Annotated[dict[AnyEntityType, ActionTerms], Field(min_length=1), Tag("by type")],
    Discriminator(_kind),
]
Actions = dict[FindingsAt, ActionsThere]

Example = Annotated[str, Field(min_length=1, max_length=2000)]
Word = Annotated[str, Field(min_length=1, max_length=60)]
Listed = Annotated[str, Field(min_length=1, max_length=300)]
Score = Annotated[int | float, Field(gt=0, le=1)]


class PatternEntry(Record):
    """A recogniser: the form of a value, what speaks for it, and examples that are run when the policy loads.

    `score`: what the form alone is worth. `match`: texts in which it finds something; `no_match`: texts in which it doesn't.
    """

    entity: EntityType
    pattern: Annotated[str, Field(min_length=1, max_length=2000)]
    score: Score | None = None
    context: tuple[Word, ...] = ()
    checksum: Name | None = None
    match: Annotated[tuple[Example, ...], Field(min_length=1)]
    no_match: tuple[Example, ...] = ()


class LimitsEntry(Record):
    """Over any of these a value is withheld."""

    characters: Annotated[int, Field(ge=1, le=500_000_000)] = 50_000_000
    nodes: Annotated[int, Field(ge=1, le=10_000_000)] = 1_000_000
    depth: Annotated[int, Field(ge=1, le=200)] = 200


class ToolMasking(Record):
    """What happens to findings in one tool's results, and in what the model writes into its arguments."""

    result: Annotated[Actions, Field(min_length=1)] | None = None
    arguments: Annotated[Actions, Field(min_length=1)] | None = None


class MaskingSection(Record):
    """What to mask, and how.

    `fields`: a path of keys, with `*` and `**`, and the entity type of what stands there. `actions`: what happens to
    each entity type, to all others under "*", and to what is found under a path. `answer`: the entity types that the final answer to
    the user may show in clear.
    """

    fields: dict[Annotated[str, Field(min_length=1, max_length=200)], EntityType] = {}
    actions: Actions = {}
    answer: tuple[EntityType, ...] = ()
    thresholds: dict[AnyEntityType, Annotated[int | float, Field(gt=0, le=0.9)]] = {}
    packs: tuple[Name, ...] = ()
    patterns: dict[Name, PatternEntry] = {}
    detectors: tuple[Name, ...] = ()
    allow: dict[AnyEntityType, Annotated[tuple[Listed, ...], Field(min_length=1)]] = {}
    deny: dict[EntityType, Annotated[tuple[Listed, ...], Field(min_length=1)]] = {}
    limits: LimitsEntry = LimitsEntry()
