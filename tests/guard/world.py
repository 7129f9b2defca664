"""A guard with people around it: policies in a folder, keys, tools that note their runs, and hands that vote."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentguard.approval import Stored
from agentguard.config import Settings, open_desk, open_guard
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.masking import Detector
from agentguard.model.approvals import Card, Decision, Resolution, State
from agentguard.model.calls import ToolCall
from agentguard.store.keys import SigningKey

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: {ask: stewards}}
tools:
  find_customer: {risk: low, labels: [customer-data]}
  send_email: {risk: medium, params: {recipient: [to], text: [body]}, reveal: {to: [EMAIL_ADDRESS]}, labels: []}
  read_page: {risk: low, params: {url: [url]}}
  http_post: {risk: medium, params: {url: [url]}, labels: []}
  refund: {risk: high, labels: []}
  close_account: {risk: high, ask: confirm, labels: []}
  export_customers: {risk: critical, labels: [customer-data]}
  echo: {risk: low, labels: []}
  "forbidden_*": {risk: low, labels: []}
rules:
  - {id: never, tools: ["forbidden_*"], deny: true, reason: Nobody may do this}
  - id: leaving
    tools: [http_post]
    when: '"customer-data" in session.labels && params.url.exists(u, domain(u) != "acme.example")'
    deny: true
    reason: Customer data would leave
approvals:
  on-call: {approvers: [group:on-call], deadline: DEADLINE}
  stewards: {approvers: [group:stewards], quorum: 2, deadline: DEADLINE}
asking: {pending: 5000, per_minute: 5000}
"""

CUSTOMER = {"id": 7, "full_name": "Anna Kowalska", "email": "anna.kowalska@mail.example", "note": "call 202-555-0147"}


@dataclass
class Tools:
    """Tools that note how they were called."""

    ran: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def find_customer(self, customer_id: int) -> dict[str, Any]:
        """Look up a customer."""
        self.ran.append(("find_customer", {"customer_id": customer_id}))
        return dict(CUSTOMER)

    async def send_email(self, to: str, body: str = "") -> str:
        """Send an e-mail."""
        self.ran.append(("send_email", {"to": to, "body": body}))
        return f"sent to {to}"

    def read_page(self, url: str) -> str:
        """Read a page."""
        self.ran.append(("read_page", {"url": url}))
        return "hello"

    def http_post(self, url: str, body: str = "") -> str:
        """Post."""
        self.ran.append(("http_post", {"url": url, "body": body}))
        return "posted"

    def refund(self, order_id: int, amount: float = 10.0) -> str:
        """Refund an order."""
        self.ran.append(("refund", {"order_id": order_id, "amount": amount}))
        return "refunded"

    def close_account(self, account: int) -> str:
        """Close an account."""
        self.ran.append(("close_account", {"account": account}))
        return "closed"

    def export_customers(self, limit: int) -> list[dict[str, Any]]:
        """Export customers."""
        self.ran.append(("export_customers", {"limit": limit}))
        return [dict(CUSTOMER) for _ in range(limit)]

    def echo(self, value: Any = None) -> Any:
        """Give back what came in."""
        self.ran.append(("echo", {"value": value}))
        return value

    def forbidden_thing(self) -> str:
        """Never."""
        self.ran.append(("forbidden_thing", {}))
        return "done"

    def tool(self, name: str) -> FunctionTool:
        """One of them, as the guard sees it."""
        return FunctionTool.of(getattr(self, name))


@dataclass
class World:
    """Everything that a test of the road needs."""

    folder: Path
    redis_url: str
    tenant: str
    deadline: str = "20s"
    tools: Tools = field(default_factory=Tools)
    keys: dict[str, SigningKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        policies = self.policies
        policies.mkdir()
        self.set_deadline(self.deadline)
        people = {"ann": "on-call, stewards", "bob": "on-call, stewards", "cem": "stewards", "zoe": "others"}
        self.keys = {name: SigningKey.new() for name in people}
        lines = [
            f'  {name}: {{email: {name}@acme.example, groups: [{groups}], key: "{self.keys[name].public}"}}'
            for name, groups in people.items()
        ]
        (policies / "approvers.yaml").write_text("people:\n" + "\n".join(lines) + "\n", encoding="utf-8")

    def set_deadline(self, deadline: str) -> None:
        """Give people so long to decide, for guards that are opened from now on."""
        self.deadline = deadline
        (self.policies / "policy.yaml").write_text(POLICY.replace("DEADLINE", deadline), encoding="utf-8")

    @property
    def policies(self) -> Path:
        """The folder of policies."""
        return self.folder / "policies"

    @property
    def settings(self) -> Settings:
        """Settings of this world alone."""
        return Settings(
            redis_url=self.redis_url, state_dir=self.folder / "state", config_dir=self.folder / "config", keys=None
        )

    def open(self, *, agent: str = "support", detectors: Sequence[Detector] = ()) -> Guard:
        """A guard, as another process would open it."""
        return open_guard(self.policies, agent=agent, tenant=self.tenant, settings=self.settings, detectors=detectors)

    async def call(self, guard: Guard, tool: str, call_id: str | None = None, **arguments: Any) -> Any:
        """One call through the async door."""
        return await guard.run(ToolCall(tool=tool, arguments=arguments, id=call_id), self.tools.tool(tool))

    async def waiting(self, how_many: int = 1) -> list[str]:
        """The ids of pending requests, once there are so many."""
        async with open_desk(self.policies, self.settings, tenant=self.tenant) as desk:
            async with asyncio.timeout(10):
                while len(found := await desk.list()) < how_many:
                    await asyncio.sleep(0.01)
        return [stored.request.id for stored in found]

    async def open_requests(self) -> list[str]:
        """The ids of requests that people could still decide, or that could still run."""
        async with open_desk(self.policies, self.settings, tenant=self.tenant) as desk:
            found = await desk.list((State.PENDING, State.APPROVED, State.EXECUTING))
        return [stored.request.id for stored in found]

    async def decide(
        self, request_id: str, person: str, decision: Decision = Decision.APPROVE, comment: str = ""
    ) -> Resolution:
        """One person's vote, with their own key."""
        async with open_desk(self.policies, self.settings, tenant=self.tenant) as desk:
            shown = await desk.show(request_id)
            return await desk.decide(
                request_id,
                person=person,
                key=self.keys[person],
                decision=decision,
                comment=comment,
                card_digest=shown.card_digest,
            )

    async def stored(self, request_id: str) -> Stored:
        """A request as it stands."""
        async with open_desk(self.policies, self.settings, tenant=self.tenant) as desk:
            return (await desk.show(request_id)).stored

    async def card(self, request_id: str) -> Card:
        """What people are shown of a request."""
        return (await self.stored(request_id)).request.card

    async def state(self, request_id: str) -> State:
        """How a request stands."""
        return (await self.stored(request_id)).state
