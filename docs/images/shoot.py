"""Take the screenshots of the documentation: `python docs/images/shoot.py`, with Chromium at /usr/bin/chromium.

A real server with made-up requests; people and addresses are nobody's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from agentguard.store.embedded import Embedded  # noqa: E402
from tests.approval.people import BOARD, ONE, TWO  # noqa: E402
from tests.cards.faces import a_card  # noqa: E402
from tests.server.chromium import Scene, scene  # noqa: E402

PHONE = {"width": 390, "height": 800}
DESK = {"width": 1100, "height": 620}


def requests(world: Scene) -> list[str]:
    """What waits: their ids."""
    quiet: dict[str, Any] = {"says": "", "asked": "", "read_by_rules": (), "origins": {}, "oddities": ()}
    cards = [
        (TWO, a_card()),
        (
            BOARD,
            a_card(
                {"limit": 5200, "format": "csv"},
                **quiet
                | {
                    "title": "Export 5,200 customers",
                    "tool": "export_customers",
                    "risk": "critical",
                    "reasons": ("Bulk export of customer records (tool_policies/policy.yaml:31:5)",),
                    "oddities": ("limit is 11 times the usual 480",),
                    "read_by_rules": ("limit",),
                },
            ),
        ),
        (
            ONE,
            a_card(
                {"to": ["press@news.example"], "subject": "We are back"},
                **quiet
                | {"title": "Send e-mail to press@news.example", "tool": "send_email", "risk": "medium", "undo": ""},
            ),
        ),
        (
            ONE,
            a_card(
                {"branch": "old-docs"},
                **quiet | {"title": "Delete branch old-docs", "tool": "git_delete", "risk": "low"},
            ),
        ),
    ]
    return [*(world.ask(need, card=card).id for need, card in cards), *a_turn(world)]


def a_turn(world: Scene) -> list[str]:
    """Three calls of one turn."""
    shared: dict[str, Any] = {
        "asked": "Close the account of Harbour Ltd: refund what is open and tell them",
        "says": "Refunding the two open orders, then writing to them.",
        "origins": {},
        "risk": "medium",
    }
    cards = [
        a_card(
            {"order_id": 2210, "amount": 48.5},
            **shared
            | {
                "title": "Refund 48.50 EUR to order 2210",
                "oddities": (),
                "reasons": ("Refunds (tool_policies/policy.yaml:31:5)",),
            },
        ),
        a_card(
            {"order_id": 2214, "amount": 410.0},
            **shared
            | {
                "title": "Refund 410.00 EUR to order 2214",
                "oddities": ("amount is 4 times the usual 100",),
                "reasons": ("Refunds (tool_policies/policy.yaml:31:5)",),
            },
        ),
        a_card(
            {"to": ["office@harbour.example"], "subject": "Your account is closed"},
            **shared
            | {
                "title": "Send e-mail to office@harbour.example",
                "tool": "send_email",
                "oddities": ("first time for this recipient",),
                "read_by_rules": ("to",),
                "reasons": ("Mail that leaves the house (tool_policies/policy.yaml:40:5)",),
            },
        ),
    ]
    return [world.ask(ONE, card=card, turn="e" * 32).id for card in cards]


def main() -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        lease = Embedded.acquire(Path(folder))
        with scene(lease.url, "images") as world:
            ids = requests(world)
            for name, path, options in (
                ("inbox-desk", "/", {"viewport": DESK, "color_scheme": "light"}),
                ("inbox-phone-dark", "/", {"viewport": PHONE, "color_scheme": "dark"}),
                (
                    "turn-phone",
                    f"/requests/{ids[-1]}/turn",
                    {"viewport": PHONE, "color_scheme": "light"},
                ),
                ("request-phone", f"/requests/{ids[0]}", {"viewport": PHONE, "color_scheme": "light"}),
                (
                    "request-desk-dark",
                    f"/requests/{ids[0]}",
                    {"viewport": {**DESK, "height": 900}, "color_scheme": "dark"},
                ),
            ):
                with world.screen("ann", **options) as context:
                    page = context.new_page()
                    page.goto(path)
                    page.wait_for_selector("body[data-connected]")
                    page.wait_for_timeout(900)
                    page.screenshot(path=str(HERE / f"{name}.png"))
        lease.release()


if __name__ == "__main__":
    main()
