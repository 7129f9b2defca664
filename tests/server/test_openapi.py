"""The description of the API."""

from __future__ import annotations

from typing import Any

import pytest

from agentguard.server.app import create_app
from tests.server.serving import parts

DOCUMENT = create_app(parts("unix:///nowhere", "nobody")).openapi()
OPERATIONS = [
    pytest.param(operation, id=f"{method} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_needs_a_token_or_a_signature_and_names_its_errors(operation: dict[str, Any]) -> None:
    """As problem+json."""
    # given
    outside = operation in DOCUMENT["paths"]["/webhooks/decisions"].values()
    errors = {status: reply for status, reply in operation["responses"].items() if status >= "300"}

    # then
    assert operation["security"] == ([{"APIKeyHeader": []}] if outside else [{"HTTPBearer": []}])
    assert {"401", "422", "503"} <= set(errors)
    assert {kind for reply in errors.values() for kind in reply["content"]} == {"application/problem+json"}


def test_a_decision_is_described_strictly() -> None:
    """Its digest is needed, and nothing else is taken."""
    body = DOCUMENT["components"]["schemas"]["DecideBody"]
    assert body["required"] == ["card_digest"]
    assert body["additionalProperties"] is False
