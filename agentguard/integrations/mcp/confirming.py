"""The user's confirmation of their own agent's call, asked by the client itself (elicitation), in both generations of the protocol.

Rules:
- a client that says it can show forms is asked; any other's user confirms in the inbox or on the command line;
- the newer protocol has the client make the call again with the answer; in the older one the client is asked while its call waits;
- only `accept` is a yes: declined, cancelled, not answered in time, or answered with something else is a no.
"""

from __future__ import annotations

from typing import Any

import anyio
import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from agentguard.errors import CallUnconfirmed
from agentguard.guard.confirming import Confirmation

Context = ServerRequestContext[Any, Any]

_KEY = "confirm"
_NOTHING_TO_FILL_IN: dict[str, Any] = {"type": "object", "properties": {}}


def confirmation_of(ctx: Context, params: types.InputResponseRequestParams) -> Confirmation | None:
    """What a client says of its user with a call: that it can ask them, and what they answered; None where it can't."""
    if not can_ask(ctx):
        return None
    if params.request_state is None:
        return Confirmation()
    return _said(params.request_state, (params.input_responses or {}).get(_KEY))


def is_asked_anew(ctx: Context) -> bool:
    """Whether the client makes the call again with the answer."""
    return ctx.session.protocol_version in MODERN_PROTOCOL_VERSIONS


def input_required(asked: CallUnconfirmed) -> types.InputRequiredResult:
    """The answer to a call that has the client ask its user, then make the call again."""
    request = types.ElicitRequest(
        params=types.ElicitRequestFormParams(message=asked.question, requested_schema=_NOTHING_TO_FILL_IN)
    )
    return types.InputRequiredResult(input_requests={_KEY: request}, request_state=asked.request_id)


async def ask(ctx: Context, asked: CallUnconfirmed, *, hold_seconds: float) -> Confirmation:
    """What the user answers while the call waits."""
    result = None
    with anyio.move_on_after(hold_seconds):
        try:
            result = await ctx.session.elicit_form(asked.question, _NOTHING_TO_FILL_IN, ctx.request_id)
        except MCPError:
            result = None
    return _said(str(asked.request_id), result)


def _said(question: str, result: object) -> Confirmation:
    return Confirmation(question=question, is_yes=isinstance(result, types.ElicitResult) and result.action == "accept")


def can_ask(ctx: Context) -> bool:
    """Whether the client says that it can show its user a form."""
    capabilities = ctx.session.client_capabilities
    form = None if capabilities is None else capabilities.elicitation
    shows_forms = form is not None and (form.form is not None or form.url is None)
    return shows_forms and (is_asked_anew(ctx) or ctx.session.can_send_request)
