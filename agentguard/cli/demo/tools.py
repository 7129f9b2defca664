"""The demo's five tools, real LangChain tools on a real database, and a witness who notes what reached them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from langchain_core.tools import BaseTool, tool

from agentguard.cli.demo import database


@dataclass
class Seen:
    """One run of a tool: what it was called with and what it gave, both in clear."""

    tool: str
    got: dict[str, Any]
    returned: Any


@dataclass
class Witness:
    """Stands inside the tools, where nothing is masked."""

    runs: list[Seen] = field(default_factory=list)

    def note(self, name: str, got: dict[str, Any], returned: Any) -> Any:
        """Note one run; gives what the tool returns."""
        self.runs.append(Seen(name, got, returned))
        return returned

    def of(self, name: str) -> list[Seen]:
        """The runs of one tool."""
        return [seen for seen in self.runs if seen.tool == name]


def demo_tools(customers: Path, outbox: Path, witness: Witness) -> list[BaseTool]:
    """The tools, on this database and this folder of sent mails."""

    @tool
    def find_customer(order_id: int) -> str:
        """Look up the customer who placed an order."""
        return str(
            witness.note("find_customer", {"order_id": order_id}, json.dumps(database.find(customers, order_id)))
        )

    @tool
    def send_email(to: str, subject: str, body: str) -> str:
        """Send an e-mail."""
        mail = {"to": to, "subject": subject, "body": body}
        (outbox / f"{len(list(outbox.iterdir())) + 1}.json").write_text(json.dumps(mail), encoding="utf-8")
        return str(witness.note("send_email", mail, f"sent to {to}"))

    @tool
    def read_page(url: str) -> str:
        """Read a web page."""
        return str(witness.note("read_page", {"url": url}, httpx.get(url, timeout=5).text))

    @tool
    def http_post(url: str, body: str) -> str:
        """Post text to a URL."""
        return str(witness.note("http_post", {"url": url, "body": body}, httpx.post(url, content=body, timeout=5).text))

    @tool
    def export_customers(days: int) -> str:
        """Export the customer records that changed in the last days."""
        rows = database.changed_since(customers, days)
        return str(witness.note("export_customers", {"days": days}, json.dumps(rows)))

    return [find_customer, send_email, read_page, http_post, export_customers]
