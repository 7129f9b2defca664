"""The API against its own description: schemathesis makes the requests, the real server answers them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from agentguard.server.app import create_app
from tests.server.serving import TOKENS, parts, serving

pytestmark = pytest.mark.slow

load_all_checks()
SCHEMA = schemathesis.openapi.from_dict(create_app(parts("unix:///nowhere", "nobody")).openapi())
OPERATIONS = [pytest.param(found.ok(), id=found.ok().label) for found in SCHEMA.get_all_operations()]
NOT_OURS = [CHECKS.get_one(name) for name in ("positive_data_acceptance", "ignored_auth")]
"""A description can't say which cards wait, so what fits it is refused too; and that no route goes without a token has tests of its own."""


@pytest.fixture(scope="module")
def base(valkey_url: str) -> Iterator[str]:
    """A server with nothing in it."""
    with serving(parts(valkey_url, "contract")) as address:
        yield address


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "not fitting"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_request_breaks_the_server_or_its_description(base: str, operation: Any, mode: GenerationMode) -> None:
    """No 5xx, and every answer is one that is described, in status, type, headers and body."""
    headers = {"authorization": f"Bearer {TOKENS['ann']}"}

    @settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: Any) -> None:
        case.call_and_validate(base_url=base, headers=headers, excluded_checks=NOT_OURS)

    answers()
