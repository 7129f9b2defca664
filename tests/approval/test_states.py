"""How a request stands is derived in one place, from three hashes and Redis's clock."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from agentguard.store.redis import Connection, Script

pytestmark = pytest.mark.anyio

DEADLINE, REDEEM_BY, UNTIL = 1_000_000, 2_000_000, 3_000_000
OPEN = {"record": "{}", "deadline_ms": str(DEADLINE), "redeem_by_ms": str(REDEEM_BY)}
APPROVED = {"resolution": "approved"}
CLAIMED = {"fence": "f", "until_ms": str(UNTIL)}

_STATE = (files("agentguard.approval") / "scripts" / "state.lua").read_text()
_DERIVE = Script(
    "derive",
    _STATE
    + """
local function hash(text)
  local found = {}
  for name, value in string.gmatch(text, '([^=;]+)=([^;]*)') do found[name] = value end
  return found
end
return derive(tonumber(ARGV[1]), hash(ARGV[2]), hash(ARGV[3]), hash(ARGV[4]))
""",
)


async def derived(line: Connection, now: int, *hashes: dict[str, Any]) -> str:
    """The state that the scripts derive at `now` from request, votes and claim."""
    written = [";".join(f"{name}={value}" for name, value in one.items()) for one in hashes]
    return str((await line.run(_DERIVE, [], [now, *written])).decode())


@pytest.mark.parametrize(
    ("now", "request_hash", "votes", "claim", "state"),
    [
        pytest.param(0, {}, {}, {}, "missing", id="nothing there"),
        pytest.param(0, {}, APPROVED, {}, "missing", id="votes alone are no request"),
        pytest.param(DEADLINE - 1, OPEN, {}, {}, "pending", id="t8 1 ms before the deadline"),
        pytest.param(DEADLINE, OPEN, {}, {}, "expired", id="t8 at the deadline"),
        pytest.param(DEADLINE + 1, OPEN, {}, {}, "expired", id="t8 1 ms after the deadline"),
        pytest.param(DEADLINE + 1, OPEN, APPROVED, {}, "approved", id="approved before, not redeemed"),
        pytest.param(REDEEM_BY - 1, OPEN, APPROVED, {}, "approved", id="t8 1 ms before the permit expires"),
        pytest.param(REDEEM_BY, OPEN, APPROVED, {}, "expired", id="t8 when the permit expires"),
        pytest.param(0, OPEN, {"resolution": "rejected"}, {}, "rejected", id="rejected"),
        pytest.param(REDEEM_BY, OPEN, {"resolution": "rejected"}, {}, "rejected", id="rejected stays"),
        pytest.param(0, OPEN, {"resolution": "yes"}, {}, "expired", id="a strange resolution is no"),
        pytest.param(0, OPEN, {"resolution": ""}, {}, "expired", id="an empty resolution is no"),
        pytest.param(0, OPEN | {"withdrawn": ""}, {}, {}, "withdrawn", id="taken back without a reason"),
        pytest.param(0, OPEN | {"withdrawn": "x"}, APPROVED, {}, "withdrawn", id="taken back after the approval"),
        pytest.param(0, {"record": "{}"}, {}, {}, "expired", id="no deadline is no"),
        pytest.param(0, OPEN | {"deadline_ms": "soon"}, {}, {}, "expired", id="a strange deadline is no"),
        pytest.param(0, OPEN | {"redeem_by_ms": "x"}, APPROVED, {}, "expired", id="a strange expiry is no"),
        pytest.param(UNTIL - 1, OPEN, APPROVED, CLAIMED, "executing", id="its lease runs"),
        pytest.param(UNTIL, OPEN, APPROVED, CLAIMED, "unknown", id="its lease ran out"),
        pytest.param(0, OPEN, APPROVED, {"fence": "f"}, "unknown", id="a claim without a lease"),
        pytest.param(UNTIL, OPEN, APPROVED, CLAIMED | {"outcome": "done"}, "done", id="done"),
        pytest.param(0, OPEN, APPROVED, CLAIMED | {"outcome": "failed"}, "failed", id="failed"),
        pytest.param(0, OPEN, APPROVED, CLAIMED | {"outcome": "perhaps"}, "unknown", id="a strange outcome"),
    ],
)
async def test_t8_the_state_follows_from_the_hashes_and_the_clock(
    line: Connection, now: int, request_hash: dict[str, str], votes: dict[str, str], claim: dict[str, str], state: str
) -> None:
    """Every rule of state.lua; broken means no."""
    assert await derived(line, now, request_hash, votes, claim) == state
