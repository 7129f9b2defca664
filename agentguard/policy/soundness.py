"""What must hold in a policy besides its form.

Each finding is (path in the document, what is wrong, what to write instead).

Rules:
- risk rises: allow <= ask <= deny from low to critical; critical is never allowed and never merely confirmed;
- every approval that is asked for is defined, and somebody could give it; reminders and steps come before its deadline, in order;
- a rule does something; a limit counts one thing, over some time, and asks or denies; a role has paths that conditions can read;
- of two patterns that match one name, one is plainly more specific or riskier;
- no token is restored inside a text that something executes;
- a grant is offered for no critical tool, says which arguments stay, and leaves nothing that is executed to the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise

from agentguard.model.marked import Path
from agentguard.model.verdicts import CONFIRM, Risk
from agentguard.policy.approvals_section import ApprovalEntry
from agentguard.policy.document import AskFor, Document, LimitEntry, RevealEntry, ToolEntry, level_effect
from agentguard.policy.masking_section import ActionEntry, Actions, ActionTerms
from agentguard.policy.patterns import Overlapping, is_exact, literals, overlap
from agentguard.policy.roles import EXECUTABLE_ROLES, RESERVED

AMBIGUOUS_MAX = 100
"""How many pairs of patterns that could both win are told."""
REMINDERS_MAX = 100
"""How often people can be reminded of one request."""
SUBJECTS_MAX = 100_000
"""How many people or things one limit can tell apart."""

Found = tuple[tuple[str | int, ...], str, str]
Check = Callable[[Document], Iterable[Found]]


def check(document: Document) -> Iterator[Found]:
    """Everything that is unsound in a document."""
    yield from _check_levels(document)
    yield from _check_asks(document)
    for name, approval in document.approvals.items():
        yield from _check_approval(("approvals", name), name, approval)
        yield from _check_times(("approvals", name), approval)
    for pattern, entry in document.tools.items():
        yield from _check_params(("tools", pattern), entry)
        yield from _check_reveal(("tools", pattern), entry)
        yield from _check_grants(("tools", pattern), entry)
    yield from _check_rules(document)
    for name, limit in document.limits.items():
        yield from _check_limit(("limits", name), limit)
        yield from _check_counted(("limits", name), limit, document)
    yield from _check_ambiguous(document)


def _check_levels(document: Document) -> Iterator[Found]:
    for lower, higher in pairwise(Risk):
        below, above = (level_effect(document.risk.of(risk))[0] for risk in (lower, higher))
        if above.rank < below.rank:
            what = f"{higher} means {above}, but {lower} already means {below}"
            yield ("risk", higher.value), what, "risk must rise: allow, then ask, then deny"
    match document.risk.critical:
        case "allow":
            yield ("risk", "critical"), "critical calls would run unasked", "write {ask: NAME} or deny"
        case AskFor(ask=name) if name == CONFIRM:
            yield ("risk", "critical"), "critical calls can't be confirmed by their own user", "ask for an approval"


def _check_asks(document: Document) -> Iterator[Found]:
    for path, name, risk in _asks(document):
        if not document.asks_for(name):
            defined = ", ".join(sorted({*document.approvals, CONFIRM}))
            yield (*path, "ask"), f"no approval {name!r} is defined", f"define it under approvals; there are: {defined}"
        if name == CONFIRM and risk is Risk.CRITICAL and path[0] != "risk":
            what = "a critical call can't be confirmed by its own user"
            yield (*path, "ask"), what, "ask for an approval, or leave ask out to take the level's"


def _asks(document: Document) -> Iterator[tuple[Path, str, Risk | None]]:
    """Every `ask` of a document: where, which, and for what risk."""
    for risk in Risk:
        name = level_effect(document.risk.of(risk))[1]
        if name is not None:
            yield ("risk", risk.value), name, risk
    for pattern, entry in document.tools.items():
        if entry.ask is not None:
            yield ("tools", pattern), entry.ask, entry.risk
    for index, rule in enumerate(document.rules):
        if rule.ask is not None:
            yield ("rules", index), rule.ask, rule.risk
    for limit, written in document.limits.items():
        if written.ask is not None:
            yield ("limits", limit), written.ask, None


def _check_approval(path: Path, name: str, approval: ApprovalEntry) -> Iterator[Found]:
    people = set(approval.approvers)
    if name == CONFIRM:
        yield path, "confirm is the user's own confirmation and needs no definition", "give the approval another name"
    if not people:
        yield (*path, "approvers"), "nobody could ever approve this", "name a group or a person: [group:on-call]"
    elif len(people) < len(approval.approvers):
        yield (*path, "approvers"), "an approver stands here twice", "name each approver once"
    if approval.from_each and not _two_groups(people):
        what = "from_each counts in each of several groups, and this names fewer than two or a person"
        yield (*path, "from_each"), what, "name two groups or more, or remove from_each"
    only_persons = people and all(approver.startswith("person:") for approver in people)
    if only_persons and approval.quorum > len(people):
        what = f"a quorum of {approval.quorum}, but {len(people)} can approve"
        yield (*path, "quorum"), what, f"write a quorum of at most {len(people)}, or name more approvers"


def _check_times(path: Path, approval: ApprovalEntry) -> Iterator[Found]:
    """Reminders and steps that come before the deadline, each step after the one before."""
    deadline = approval.deadline_seconds
    if approval.remind_seconds >= deadline:
        yield (*path, "remind"), "the deadline comes before the first reminder", "remind sooner, or leave remind out"
    elif approval.remind_seconds and deadline // approval.remind_seconds > REMINDERS_MAX:
        yield (*path, "remind"), f"people would be reminded over {REMINDERS_MAX} times", "remind less often"
    if approval.escalate and approval.from_each:
        what = "from_each counts in each of its groups, and a step would add none of them"
        yield (*path, "escalate"), what, "remove escalate or from_each"
    known, before = set(approval.approvers), 0
    for index, step in enumerate(approval.escalate):
        place = (*path, "escalate", index)
        if step.after_seconds >= deadline:
            yield (*place, "after"), "the deadline comes before this step", f"write less than {approval.deadline}"
        if step.after_seconds <= before:
            yield (*place, "after"), "this step does not come after the one before", "write the steps in their order"
        for each in step.to:
            if each in known:
                yield (*place, "to"), f"{each} may decide already", "name whom the step adds"
            known.add(each)
        before = step.after_seconds


def _two_groups(approvers: set[str]) -> bool:
    return len(approvers) >= 2 and all(approver.startswith("group:") for approver in approvers)


def _check_params(path: Path, entry: ToolEntry) -> Iterator[Found]:
    for role, paths in entry.params.items():
        if role in RESERVED:
            yield (*path, "params", role), f"{role!r} is a word that conditions can't read", "choose another role"
        if not paths:
            yield (*path, "params", role), f"the role {role!r} has no argument", "name its arguments: [to, cc]"


def _check_reveal(path: Path, entry: ToolEntry) -> Iterator[Found]:
    for parameter, terms in entry.reveal.items():
        inside_text = isinstance(terms, RevealEntry) and terms.inside_text
        for role in sorted(EXECUTABLE_ROLES & entry.params.keys()):
            if not any(_touch(parameter, other) for other in entry.params[role]):
                continue
            if role != "url":
                what = f"what a token in {parameter}, whose role is {role}, stands for would be executed"
                yield (*path, "reveal", parameter), what, "give the tool such values in a parameter of their own"
            elif inside_text:
                what = f"a token inside {parameter}, whose role is url, could change where it leads"
                instead = "remove inside_text: whole values are still restored"
                yield (*path, "reveal", parameter, "inside_text"), what, instead


def _touch(one: str, other: str) -> bool:
    """Whether one path lies within the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _check_grants(path: Path, entry: ToolEntry) -> Iterator[Found]:
    grants = entry.grants
    if grants is None:
        return
    if entry.risk is Risk.CRITICAL:
        yield (*path, "grants"), "each critical call is decided by itself", "remove grants"
    if entry.deny:
        yield (*path, "grants"), "nothing is granted of a tool that is denied", "remove grants"
    if not grants.same and not grants.at_most:
        what = "a grant would cover any call of this tool"
        yield (*path, "grants"), what, "say which arguments stay: same: [order_id], at_most: [amount]"
    executed = sorted(role for role in EXECUTABLE_ROLES if role in entry.params)
    loose = [each for role in executed for each in entry.params[role] if each not in grants.same]
    if loose:
        what = f"{loose[0]} is executed, and a grant would leave it to the model"
        yield (*path, "grants"), what, f"add it to same: [{', '.join(loose)}]"


def _check_rules(document: Document) -> Iterator[Found]:
    for index, rule in enumerate(document.rules):
        if rule.ask is None and rule.deny is None and rule.risk is None and rule.once is None:
            instead = "add ask: NAME, deny: true, risk: LEVEL or once: args.NAME"
            yield ("rules", index), f"the rule {rule.id!r} does nothing", instead
        if rule.deny and rule.notify:
            yield ("rules", index, "notify"), "a call that is denied opens no request to tell of", "remove notify"


def _check_limit(path: Path, limit: LimitEntry) -> Iterator[Found]:
    if (limit.ask is None) is (limit.deny is None):
        yield path, "a limit asks or denies, one of the two", "write ask: NAME or deny: true"
    if limit.sum is not None and limit.distinct is not None:
        yield (*path, "distinct"), "a limit counts one thing", "make it two limits"
    if limit.sum is None and not isinstance(limit.max, int):
        yield (*path, "max"), "calls and subjects are counted whole", "write a whole number"
    if limit.over is None and "session" not in limit.dimensions:
        yield path, "nothing says how far back it counts", "write such as over: 24h, or per: session"
    if limit.distinct is not None and limit.max > SUBJECTS_MAX:
        yield (*path, "max"), f"at most {SUBJECTS_MAX} subjects are counted", "write a smaller number"


def _check_counted(path: Path, limit: LimitEntry, document: Document) -> Iterator[Found]:
    """Subjects are told apart by their tokens, so nothing else may happen to them in these tools' results."""
    kind = limit.distinct
    if kind is None:
        return
    for action in _actions_on(document.masking.actions, kind):
        what = f"{kind} is counted by its tokens, and its masking action is {action}"
        yield (*path, "distinct"), what, f"write masking.actions: {{{kind}: token}}"
    for pattern, entry in document.tools.items():
        result = entry.masking.result if entry.masking is not None else None
        if result and any(overlap(pattern, each) for each in limit.tools):
            for action in _actions_on(result, kind):
                what = f"{kind} is counted by its tokens, and in results of {pattern} its masking action is {action}"
                yield (*path, "distinct"), what, f"write masking.result: {{{kind}: token}} for {pattern}"


def _actions_on(actions: Actions, kind: str) -> list[str]:
    """What may happen to a type besides becoming a token."""
    found: list[ActionTerms] = []
    flat: dict[str, ActionTerms] = {}
    for key, there in actions.items():
        if isinstance(there, dict):
            found.append(there.get(kind) or there.get("*", "token"))
        elif "." in key:
            found.append(there)
        else:
            flat[key] = there
    found.append(flat.get(kind) or flat.get("*", "token"))
    return sorted({action.action if isinstance(action, ActionEntry) else action for action in found} - {"token"})


def _check_ambiguous(document: Document) -> Iterator[Found]:
    """Only patterns of one risk and as many literal characters are compared; what is found is told to a point."""
    alike: dict[tuple[int, Risk], list[str]] = {}
    for pattern in sorted(document.tools):
        if not is_exact(pattern):
            alike.setdefault((literals(pattern), document.tools[pattern].risk), []).append(pattern)
    pairs = ((one, other) for group in alike.values() for one, other in _meeting(group))
    for one, other in islice(pairs, AMBIGUOUS_MAX):
        what = f"{other!r} and {one!r} are equally specific and of one risk, so neither wins where both match"
        yield ("tools", other), what, "give them different risks, or make one more specific"


def _meeting(patterns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The pairs of patterns that some name could match both of."""
    index = Overlapping(patterns)
    for one in patterns:
        yield from ((one, other) for other in index.of(one) if one < other)
