"""Texts of the policy language that must have a certain form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from agentguard.policy.patterns import check_pattern


@dataclass(frozen=True)
class Form:
    """A check that the whole text has a form, for the loader and, as a pattern, for editors."""

    pattern: str
    what: str
    instead: str

    def check(self, text: str) -> str:
        """The text. Raises PydanticCustomError where it has another form."""
        if re.fullmatch(self.pattern, text) is None:
            told = {"what": f"{text[:80]!r} is not {self.what}", "instead": self.instead}
            raise PydanticCustomError("form", "{what}", told)
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"pattern": f"^(?:{self.pattern})$"}


def _check_pattern(text: str) -> str:
    problem = check_pattern(text)
    if problem:
        raise PydanticCustomError("pattern", "{what}", {"what": problem[0], "instead": problem[1]})
    return text


Name = Annotated[str, Form(r"[a-z0-9][a-z0-9._-]{0,63}", "a name", "write lower-case letters, digits, '.', '_', '-'")]
EntityType = Annotated[
    str, Form(r"[A-Z][A-Z0-9_]{0,63}", "an entity type", "write such as EMAIL_ADDRESS, PERSON or US_SSN")
]
AnyEntityType = Annotated[
    str, Form(r"\*|[A-Z][A-Z0-9_]{0,63}", "an entity type", 'write such as EMAIL_ADDRESS, or "*" for all others')
]
Label = Annotated[str, Form(r"[a-z][a-z0-9-]{0,63}", "a label", "write lower-case letters, digits and '-'")]
Pattern = Annotated[
    str,
    AfterValidator(_check_pattern),
    WithJsonSchema({"type": "string", "pattern": r"^(?!.*\*\*)[a-zA-Z0-9_*?-]{1,64}$"}),
]
Role = Annotated[str, Form(r"[a-z][a-z0-9_]{0,63}", "a role", "write such as recipient, url, text or amount")]
ArgumentPath = Annotated[
    str,
    Form(r"[^.\s]{1,200}(\.[^.\s]{1,200}){0,15}", "a path to an argument", "write such as to or customer.email"),
]
Approver = Annotated[
    str, Form(r"(group|person):[a-z0-9][a-z0-9._-]{0,63}", "an approver", "write group:NAME or person:NAME")
]
NotifierName = Annotated[
    str,
    Form(
        r"[a-z][a-z0-9_-]{0,31}(:#?[a-z0-9][a-z0-9._-]{0,79})?",
        "a place to tell",
        "write a kind such as slack, teams or webhook, or one with a name: slack:#data-approvals",
    ),
]
Notified = Annotated[tuple[NotifierName, ...], Field(min_length=1)]
UseEntry = Annotated[
    str,
    Form(
        r"library:[a-z0-9][a-z0-9_-]{0,63}|(?![/~])[^\\:\x00]{1,300}\.yaml",
        "a policy to take in",
        "write library:NAME, or the path of a .yaml file relative to this one",
    ),
]
_VALUE_FORM = r"args(\.[^.\s]{1,200}){1,16}|params\.[a-z][a-z0-9_]{0,63}"
SumPath = Annotated[
    str,
    Form(
        _VALUE_FORM,
        "an amount",
        "write such as args.amount or params.amount",
    ),
]
OncePath = Annotated[
    str,
    Form(
        _VALUE_FORM,
        "what names a deed",
        "write such as args.order_id or params.recipient",
    ),
]
Sentence = Annotated[str, Field(min_length=1, max_length=300)]
