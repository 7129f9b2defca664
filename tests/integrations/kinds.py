"""Twelve kinds of parameter that have a mind of their own, each with a value that is masked on its way to the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, EmailStr, Field, HttpUrl
from pydantic_core import to_jsonable_python


class Contact(BaseModel):
    """Whom to write to."""

    email: EmailStr
    copies: int = 1


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A parameter's annotation, the field that its value comes from, and what the tool must get.

    `write`: what a model puts into the arguments, given what stands in the result. `path`: where the value stands in them.
    """

    annotation: Any
    field: str
    entity_type: str
    value: Any
    expected: Any
    write: Callable[[Any], Any] = lambda placeholder: placeholder
    path: str = "value"


EMAIL = "anna.kowalska@mail.example"
CUSTOMER = "3f1a9c52-7d0e-4b7c-9a51-0c2d8f6e4b11"

KINDS: dict[str, Kind] = {
    "email": Kind(annotation=EmailStr, field="email", entity_type="EMAIL_ADDRESS", value=EMAIL, expected=EMAIL),
    "url": Kind(
        annotation=HttpUrl,
        field="home_page",
        entity_type="HOME_PAGE",
        value="https://mail.example/~anna.kowalska",
        expected=HttpUrl("https://mail.example/~anna.kowalska"),
    ),
    "pattern": Kind(
        annotation=Annotated[str, Field(pattern=r"^AC-\d{8}$")],
        field="account_id",
        entity_type="ACCOUNT_ID",
        value="AC-10045871",
        expected="AC-10045871",
    ),
    "e164": Kind(
        annotation=Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")],
        field="phone",
        entity_type="PHONE_NUMBER",
        value="+1 (202) 555-0147",
        expected="+12025550147",
    ),
    "date": Kind(
        annotation=date,
        field="date_of_birth",
        entity_type="DATE_OF_BIRTH",
        value="1984-03-12",
        expected=date(1984, 3, 12),
    ),
    "uuid": Kind(
        annotation=UUID, field="customer_id", entity_type="CUSTOMER_ID", value=CUSTOMER, expected=UUID(CUSTOMER)
    ),
    "int": Kind(
        annotation=int,
        field="member_number",
        entity_type="MEMBER",
        value=10045871,
        expected=10045871,
        write=lambda placeholder: int(placeholder) if str(placeholder).isdigit() else placeholder,
    ),
    "decimal": Kind(
        annotation=Decimal,
        field="salary",
        entity_type="SALARY",
        value="71250.50",
        expected=Decimal("71250.50"),
    ),
    "literal": Kind(
        annotation=Literal["gold", "silver"], field="tier", entity_type="TIER", value="gold", expected="gold"
    ),
    "max-length": Kind(
        annotation=Annotated[str, Field(max_length=20)],
        field="full_name",
        entity_type="PERSON",
        value="Anna Kowalska",
        expected="Anna Kowalska",
    ),
    "nested": Kind(
        annotation=Contact,
        field="email",
        entity_type="EMAIL_ADDRESS",
        value=EMAIL,
        expected=Contact(email=EMAIL),
        write=lambda placeholder: {"email": placeholder, "copies": 1},
        path="value.email",
    ),
    "list": Kind(
        annotation=list[EmailStr],
        field="email",
        entity_type="EMAIL_ADDRESS",
        value=EMAIL,
        expected=[EMAIL],
        write=lambda placeholder: [placeholder],
    ),
}

FIELDS = {"home_page": "HOME_PAGE", "member_number": "MEMBER", "salary": "SALARY", "tier": "TIER"}


def policy(kind: Kind) -> str:
    """`give` gives the value masked, `take` gets it back, `other` does not."""
    fields = ", ".join(f'"**.{name}": {entity}' for name, entity in FIELDS.items())
    return f"""\
version: 1
risk: {{low: allow, medium: allow, high: deny, critical: deny}}
tools:
  give: {{risk: low, labels: []}}
  take: {{risk: low, labels: [], reveal: {{{kind.path}: [{kind.entity_type}]}}}}
  other: {{risk: low, labels: []}}
masking:
  fields: {{{fields}}}
"""


@dataclass
class Taken:
    """The tools of one kind, and what they were given."""

    kind: Kind
    values: list[Any]

    def functions(self) -> dict[str, Callable[..., Any]]:
        """`give`, `take` and `other`."""
        return {"give": self._give, "take": self._taking("take"), "other": self._taking("other")}

    def _give(self) -> dict[str, Any]:
        """Look the record up."""
        return {self.kind.field: self.kind.value, "status": "open"}

    def _taking(self, name: str) -> Callable[..., Any]:
        def taking(value: Any) -> dict[str, Any]:
            self.values.append(value)
            said = to_jsonable_python(value)
            return {"said": said, "told": f"took {said} and left", "outcome": "done"}

        taking.__name__ = name
        taking.__doc__ = f"The tool {name}."
        taking.__annotations__ = {"value": self.kind.annotation, "return": dict[str, Any]}
        return taking
