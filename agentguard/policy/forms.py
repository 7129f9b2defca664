"""Texts of the policy language that must have a certain form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


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


Name = Annotated[str, Form(r"[a-z0-9][a-z0-9._-]{0,63}", "a name", "write lower-case letters, digits, '.', '_', '-'")]
EntityType = Annotated[
    str, Form(r"[A-Z][A-Z0-9_]{0,63}", "an entity type", "write such as EMAIL_ADDRESS, PERSON or US_SSN")
]
AnyEntityType = Annotated[
    str, Form(r"\*|[A-Z][A-Z0-9_]{0,63}", "an entity type", 'write such as EMAIL_ADDRESS, or "*" for all others')
]
