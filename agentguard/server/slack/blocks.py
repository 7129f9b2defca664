"""The card in Block Kit: a message for the channel, and modals for what a message has no room for.

Rules:
- every text is of type plain_text: no markdown, link or mention in it does anything, whoever wrote it; what stands outside of blocks,
  which Slack reads as markdown, has no character that could begin one (`inert`);
- a message shows the beginning and the end of long arguments and says how much is hidden; then it has no Approve: "Read all" opens
  everything, with Approve at its end; what even that can't hold is decided on the request's page;
- a button carries the id of the request and the digest of the card that was shown, and nothing that says who may press it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agentguard.cards import Face, cut
from agentguard.cards.cutting import Cut

SHOWN_MAX = 600
"""Characters of one argument in the channel."""

SECTION_MAX = 2_900
"""Characters that Slack takes in one section; it refuses the whole message for one more than 3,000."""

MODAL_SECTIONS_MAX = 90
PUSH_MAX = 110
"""Characters of what a phone shows before anybody looks."""

APPROVE, REJECT, READ_ALL, OPEN = "agentguard_approve", "agentguard_reject", "agentguard_read_all", "agentguard_open"
REASON = "reason"

Block = dict[str, Any]


def push_text(face: Face) -> str:
    """What a notification says: the risk and the tool, and nothing that was written by anybody."""
    waits = "waits for a decision" if face.is_open else face.ending
    return inert(f"{face.shape} {face.risk.upper()}: {face.tool} ({waits})"[:PUSH_MAX])


def inert(text: str) -> str:
    """The text as Slack shows it in place of reading it: no link, no mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message_blocks(face: Face, link: str) -> list[Block]:
    """The card in the channel."""
    blocks = [*_head(face)]
    if not face.is_open:
        may_have_run = face.ending == "may have run"
        return [*blocks, _actions([_link("It did, it did not, or freeze the agent" if may_have_run else "Look", link)])]
    blocks += [*_why(face), *_arguments(face, SHOWN_MAX), *_people(face)]
    return [*blocks, _actions(_buttons(face, link))]


def everything_modal(face: Face, link: str) -> dict[str, Any] | None:
    """All of it, with Approve at its end; None where a modal can't hold it."""
    blocks = [*_head(face), *_why(face), *_arguments(face, None), *_people(face)]
    if len(blocks) > MODAL_SECTIONS_MAX:
        return None
    return _modal(APPROVE, "Read all", "Approve", _named(face), blocks)


def reject_modal(face: Face) -> dict[str, Any]:
    """A reason for a rejection; the model reads it."""
    reason = {
        "type": "input",
        "block_id": REASON,
        "optional": True,
        "label": _plain("Reason, which the agent is told"),
        "element": {"type": "plain_text_input", "action_id": REASON, "max_length": 500},
    }
    return _modal(REJECT, "Reject", "Reject", _named(face), [_section(face.title), reason])


def decided_of(value: str) -> tuple[str, str]:
    """The request and the card's digest that a button carries. Raises ValueError for what no button of ours carries."""
    read = json.loads(value)
    if not isinstance(read, dict) or not all(isinstance(read.get(key), str) for key in ("request", "card")):
        raise ValueError("a button that is none of ours")
    return read["request"], read["card"]


def _named(face: Face) -> str:
    return json.dumps({"request": face.id, "card": face.card_digest})


def _head(face: Face) -> Iterator[Block]:
    where = f", in {face.deployment}" if face.deployment else ""
    yield {"type": "header", "text": _plain(f"{face.shape} {face.risk.upper()}: {face.title}", 150)}
    yield _section(f"{face.agent} for {face.user or 'nobody (autonomous)'}{where}\n{face.status}")


def _why(face: Face) -> Iterator[Block]:
    lines = [*(f"because {reason}" for reason in face.reasons), *(f"! {oddity}" for oddity in face.oddities), face.undo]
    yield from _sections("\n".join(lines))


def _arguments(face: Face, most: int | None) -> Iterator[Block]:
    yield _section(f"Arguments of {face.tool} (personal data masked)")
    for argument in face.arguments:
        origins = f"  (from {', '.join(argument.origins)})" if argument.origins else ""
        yield from _sections(
            f"{'* ' if argument.by_rule else ''}{argument.name}{origins}\n{_cut(argument.value, most)}"
        )
    for change in face.changes:
        yield from _sections(
            f"{face.edited_by} changed {change.name}; it was\n{_cut(change.before or '(nothing)', most)}"
        )
    if face.asked:
        yield from _sections(f"The user asked\n{_cut(_behind_bars(face.asked), most)}")
    if face.says:
        yield from _sections(f"The agent says (nobody checked this)\n{_cut(_behind_bars(face.says), most)}")


def _people(face: Face) -> Iterator[Block]:
    votes = [
        f"{vote.person}: {vote.decision.value}{'' if vote.counts else f' (does not count: {vote.why})'}"
        for vote in face.votes
    ]
    lines = [*votes, *face.standings, *face.obstacles, face.deadline, *filter(None, [face.in_turn])]
    yield from _sections("\n".join(lines))


def _buttons(face: Face, link: str) -> list[Block]:
    value = _named(face)
    reject = _button("Reject", REJECT, value, style="danger")
    links = [_link("More", link), *([_link("All of this turn", f"{link}/turn")] if face.in_turn else [])]
    if face.is_longer_than(SHOWN_MAX):
        return [reject, _button("Read all, then approve", READ_ALL, value), *links]
    return [reject, _button(face.approve, APPROVE, value, style="primary"), *links]


def _cut(text: str, most: int | None) -> Cut:
    return cut(text, most)


def _behind_bars(text: str) -> str:
    return "\n".join(f"| {line}" for line in text.split("\n"))


def _sections(text: str) -> Iterator[Block]:
    """The text whole, in as many sections as it needs."""
    for start in range(0, max(len(text), 1), SECTION_MAX):
        yield _section(text[start : start + SECTION_MAX])


def _section(text: str) -> Block:
    return {"type": "section", "text": _plain(text or " ", SECTION_MAX + 100)}


def _actions(elements: list[Block]) -> Block:
    return {"type": "actions", "elements": elements}


def _button(text: str, action: str, value: str, **style: str) -> Block:
    return {"type": "button", "action_id": action, "text": _plain(text, 75), "value": value, **style}


def _link(text: str, url: str) -> Block:
    return {"type": "button", "action_id": OPEN, "text": _plain(text, 75), "url": url}


def _plain(text: str, most: int = 3_000) -> dict[str, Any]:
    told = text if len(text) <= most else f"{text[: most - 1]}…"
    return {"type": "plain_text", "text": told, "emoji": False}


def _modal(callback: str, title: str, submit: str, named: str, blocks: list[Block]) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": callback,
        "title": _plain(title, 24),
        "submit": _plain(submit, 24),
        "close": _plain("Cancel", 24),
        "private_metadata": named,
        "blocks": blocks,
    }
