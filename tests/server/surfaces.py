"""Every kind of card on every surface, as text: what the snapshots hold.

`python -m tests.server.surfaces` writes them anew; then read the difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentguard.approval import Shown
from agentguard.cards import face_of, text_of, text_of_turn, turn_of
from agentguard.model.approvals import Decision, Edit, Found, Held, Offer, Settlement, State
from agentguard.model.verdicts import CONFIRM, Need
from agentguard.server.choices import Choices
from agentguard.server.granting import choice_of
from agentguard.server.rendering import page
from agentguard.server.slack.blocks import everything_modal, message_blocks, push_text, reject_modal
from agentguard.server.teams import message_of
from tests.approval.people import a_vote
from tests.cards.faces import a_card, a_shown
from tests.cards.test_face import HOSTILE

SNAPSHOTS = Path(__file__).parent / "snapshots"
LINK = "https://approvals.acme.example/requests/" + "r" * 32
ENDED_MS = (14 * 60 + 32) * 60_000
XSS = "<script>alert(1)</script> *b* <!channel> <https://evil.example|x> [x](https://evil.example)"


def _ended(state: State, **changed: Any) -> Shown:
    """A request that ann approved, and how it ended."""
    vote = a_vote(a_shown().stored.request, "ann")
    return a_shown(state=state, votes=(vote,), ended_ms=ENDED_MS, withdrawn="policy became stricter", **changed)


def _settled(found: Found) -> Shown:
    word = Settlement(
        tenant="t", person="bob", time_ms=0, signer="bob", subject="r" * 32, fence="f", found=found, comment="I looked"
    )
    return replace(_ended(State.UNKNOWN), word=word)


def _rejected() -> Shown:
    vote = a_vote(a_shown().stored.request, "bob", Decision.REJECT, comment="Not twice")
    return a_shown(state=State.REJECTED, votes=(vote,))


def _edited() -> Shown:
    shown = a_shown(a_card({"amount": 80, "iban": "DE89370400440532013000", "order_id": 1042}))
    signed = {"tenant": "t", "person": "bob", "time_ms": 0, "signer": "bob", "request": "r" * 32}
    edit = Edit.model_validate(signed | {"revision": 1, "digest": "d", "card_digest": "c", "changes": "x"})
    return replace(shown, stored=replace(shown.stored, edit=edit), earlier=a_shown().stored.request)


def _granting() -> Shown:
    held = Held(path="amount", how="at_most", shown="1420", most="1420")
    offer = Offer(seconds=1800, uses=3, session=False, held=(held,), tool_digest="t", clause="c")
    return a_shown(a_card(grant=offer))


def _in_turn() -> Shown:
    return replace(a_shown(), beside=("a" * 32, "b" * 32))


def _confirmed() -> Shown:
    shown = a_shown(a_card(risk="medium", undo="agentguard-demo undo 1042"))
    need = Need(name=CONFIRM, deadline_seconds=300)
    verdict = shown.stored.request.verdict.model_copy(update={"needs": (need,)})
    request = shown.stored.request.model_copy(update={"verdict": verdict})
    return replace(shown, stored=replace(shown.stored, request=request))


def _hostile() -> Shown:
    evil = dict.fromkeys(("title", "tool", "agent", "user", "says", "asked", "deployment", "undo"), XSS + HOSTILE)
    return a_shown(a_card({XSS: XSS + HOSTILE}, oddities=(XSS,), reasons=(XSS,)).model_copy(update=evil))


KINDS: Mapping[str, Callable[[], Shown]] = {
    "waits": a_shown,
    "waits, with a vote": lambda: a_shown(votes=(a_vote(a_shown().stored.request, "ann", comment="Checked"),)),
    "waits, for nobody": lambda: a_shown(a_card(user=None, asked="", says="", oddities=(), deployment="")),
    "waits, edited": _edited,
    "waits, too long": lambda: a_shown(a_card({"command": "echo ok " + "x" * 3000 + "; rm -rf /"})),
    "waits, with a grant": _granting,
    "waits, in a turn": _in_turn,
    "waits, to confirm": _confirmed,
    "waits, hostile": _hostile,
    "approved": lambda: _ended(State.APPROVED),
    "runs": lambda: _ended(State.EXECUTING),
    "ran": lambda: _ended(State.DONE),
    "did not run: rejected": _rejected,
    "did not run: expired": lambda: a_shown(state=State.EXPIRED),
    "did not run: withdrawn": lambda: _ended(State.WITHDRAWN),
    "may have run: failed": lambda: _ended(State.FAILED),
    "may have run: unknown": lambda: _ended(State.UNKNOWN),
    "may have run: it did": lambda: _settled(Found.HAPPENED),
    "may have run: it did not": lambda: _settled(Found.DID_NOT),
}


def _choices(shown: Shown) -> Choices:
    """Those of somebody who may do everything."""
    offer = choice_of(shown.stored.request.card)
    return Choices(why_not="", has_approved=False, may_edit=True, may_unmask=False, offer=offer, step_up="")


def _token(*purpose: str) -> str:
    return "token of " + " ".join(purpose[:1])


def _web(shown: Shown) -> str:
    values = {"face": face_of(shown), "may": _choices(shown), "whole": False, "most": 1_200}
    card = shown.stored.request.card
    values |= {"unmasked": None, "untold": (), "names": {"agent": card.agent, "tool": card.tool}}
    made = page("request_card.html.j2", version="v", form_token=_token, **values)
    return _lines(bytes(made.body).decode())


def _lines(html: str) -> str:
    """Markup without empty lines, and digests by their first characters."""
    return re.sub(r"\b([0-9a-f]{8})[0-9a-f]{24,56}\b", r"\1", re.sub(r"\n\s*\n+", "\n", html).strip())


def _slack(shown: Shown) -> str:
    face = face_of(shown)
    told = [push_text(face), *map(_compact, message_blocks(face, LINK))]
    if face.is_open:
        told += [f"reject modal {_compact(reject_modal(face))}", f"read all {_compact(everything_modal(face, LINK))}"]
    return _lines("\n".join(told))


def _teams(shown: Shown) -> str:
    card = message_of(face_of(shown), LINK)["attachments"][0]["content"]
    return _lines("\n".join(map(_compact, [*card["body"], *card["actions"]])))


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


SURFACES: Mapping[str, Callable[[Shown], str]] = {
    "terminal": lambda shown: text_of(face_of(shown), columns=100),
    "web": _web,
    "slack": _slack,
    "teams": _teams,
}


def a_turn() -> list[Shown]:
    """Three calls of one turn: two wait, one was rejected."""
    found = []
    for number, made in enumerate((a_shown(), a_shown(a_card(title="Refund 9.00 EUR", risk="low")), _rejected())):
        request = made.stored.request.model_copy(update={"id": str(number) * 32, "turn": "t" * 32})
        found.append(replace(made, stored=replace(made.stored, request=request)))
    return found


def turn_on_the_web() -> str:
    """The card of a turn, for somebody who may decide all."""
    turn = turn_of(a_turn())
    items = [(item, _choices(shown), ()) for item, shown in zip(turn.items, a_turn(), strict=True)]
    named = " ".join(f"{id_}:{digest}" for id_, digest in turn.cards.items())
    values = {"turn": turn, "request": "0" * 32, "items": items, "named": named, "why_not": "", "step_up": ""}
    more = {"has_approved": False, "whole": False, "most": 400, "version": "v", "form_token": _token}
    return _lines(bytes(page("turn_card.html.j2", **values, **more).body).decode())


def turn_in_the_terminal() -> str:
    """The card of a turn as plain text."""
    return text_of_turn(turn_of(a_turn()), columns=100)


def written(surface: str) -> dict[str, str]:
    """Every kind on one surface."""
    return {kind: SURFACES[surface](made()) for kind, made in KINDS.items()}


def all_written() -> dict[str, dict[str, str]]:
    """Every kind on every surface, by surface; turns are a surface of their own."""
    turns = {"web": turn_on_the_web(), "terminal": turn_in_the_terminal()}
    return {**{surface: written(surface) for surface in SURFACES}, "turns": turns}


def snapshot(sections: Mapping[str, str]) -> str:
    """What a snapshot file holds."""
    return "".join(f"======== {name}\n{text}\n" for name, text in sections.items())


def main() -> None:
    """Write the snapshots anew."""
    SNAPSHOTS.mkdir(exist_ok=True)
    for name, sections in all_written().items():
        (SNAPSHOTS / f"{name}.txt").write_text(snapshot(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
