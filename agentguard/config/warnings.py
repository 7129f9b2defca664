"""What a policy can't mean, seen from its people and from masking: warnings of `agentguard policy lint`."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from agentguard.approval import Roster
from agentguard.approval.matching import stands_for
from agentguard.config.masking import ALL_PACKS, packs, read_pack
from agentguard.masking.whole_names import ENTITY_TYPES
from agentguard.policy import Document, MaskingSection
from agentguard.policy.approvals_section import ApprovalEntry
from agentguard.policy.document import RevealEntry
from agentguard.policy.masking_section import Actions
from agentguard.policy.soundness import Found


def lonely_approvals(roster: Roster, document: Document) -> Iterator[Found]:
    """Approvals that somebody who could approve could never have for a call of their own: too few others are left."""
    for name, approval in document.approvals.items():
        people = [] if roster.varies(approval.approvers) else sorted(roster.entitled(approval.approvers))
        stuck = [person for person in people if not _could_approve(roster, approval, person)]
        if stuck:
            what = f"for calls on behalf of {', '.join(stuck[:3])} too few others could approve, and nobody approves their own"
            yield ("approvals", name), what, "add people to its groups, or ask for fewer"


def _could_approve(roster: Roster, approval: ApprovalEntry, requester: str) -> bool:
    """Whether enough people are left without the one who asks."""
    groups = [roster.members(approver) - {requester} for approver in approval.approvers]
    if approval.from_each:
        return stands_for(groups, approval.quorum) is not None
    return len(frozenset().union(*groups)) >= approval.quorum


def idle_reveals(document: Document) -> Iterator[Found]:
    """Reveals of types that never become a token here: nothing finds them, or they are masked otherwise."""
    known = _known_types(document.masking)
    for pattern, entry in document.tools.items():
        for parameter, terms in entry.reveal.items():
            for kind in terms.types if isinstance(terms, RevealEntry) else terms:
                path = ("tools", pattern, "reveal", parameter)
                if not any(_is_token(actions, kind) for actions in _all_actions(document)):
                    instead = f"write masking.actions: {{{kind}: token}}, or remove it"
                    yield path, f"{kind} never becomes a token here: masking makes something else of it", instead
                elif kind not in known and not document.masking.detectors:
                    yield (
                        path,
                        f"nothing finds {kind}",
                        "name it under masking.fields or masking.patterns, or correct it",
                    )


def idle_types(document: Document) -> Iterator[Found]:
    """Types that `masking` speaks of and nothing finds: most likely misspelt, so that what was meant is treated otherwise."""
    masking = document.masking
    if masking.detectors:  # what they find, only they know
        return
    known = _known_types(masking)
    for path, kind in _spoken_of(document):
        if kind not in known and kind != "*":
            near = get_close_matches(kind, sorted(known), n=1, cutoff=0.75)
            instead = (
                f"did you mean {near[0]}?" if near else "name it under masking.fields or masking.patterns, or remove it"
            )
            yield path, f"nothing finds {kind}", instead


def _spoken_of(document: Document) -> Iterator[tuple[tuple[str | int, ...], str]]:
    masking = document.masking
    for section, names in (("thresholds", masking.thresholds), ("allow", masking.allow)):
        yield from ((("masking", section, kind), kind) for kind in names)
    layers: list[tuple[tuple[str | int, ...], Actions]] = [(("masking", "actions"), masking.actions)]
    for pattern, entry in document.tools.items():
        if entry.masking is not None:
            layers.append((("tools", pattern, "masking", "result"), entry.masking.result or {}))
            layers.append((("tools", pattern, "masking", "arguments"), entry.masking.arguments or {}))
    for path, actions in layers:
        for key, there in actions.items():
            if "." not in key:
                yield (*path, key), key
            elif isinstance(there, dict):
                yield from (((*path, key, kind), kind) for kind in there)


def _known_types(masking: MaskingSection) -> set[str]:
    chosen = packs() if ALL_PACKS in masking.packs else masking.packs
    found = {*ENTITY_TYPES, *masking.fields.values(), *masking.deny}
    found |= {pattern.entity for pattern in masking.patterns.values()}
    return found | {recogniser.entity_type for name in chosen for recogniser in read_pack(name)}


def _all_actions(document: Document) -> Iterator[Actions]:
    yield {"*": "token", **document.masking.actions}
    for entry in document.tools.values():
        if entry.masking is not None and entry.masking.result is not None:
            yield entry.masking.result


def _is_token(actions: Actions, kind: str) -> bool:
    """Whether these actions may make tokens of a type, somewhere."""
    there = [says.get(kind) or says.get("*") for says in actions.values() if isinstance(says, dict)]
    there += [says for key, says in actions.items() if "." in key and not isinstance(says, dict)]
    return "token" in (*there, actions.get(kind) or actions.get("*"))
