"""The clauses of a policy, each with what verifies it.

Rules:
- a clause is a key of a record of `policy.document` that somebody wrote; each key has a verifier here, or a reason why it has none;
- each stands at its place in the files, and is tried with a tool that it is about.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from agentguard.cli.verifying import of_approvals, of_asking, of_limits, of_masking, of_root, of_rules, of_tools
from agentguard.cli.verifying.proof import NotApplicable, Proof
from agentguard.cli.verifying.trials import Ground
from agentguard.model.marked import Path
from agentguard.model.problems import Place
from agentguard.policy import Case, Document, Policy
from agentguard.policy.approvals_section import ApprovalEntry, AskingSection, EscalateEntry
from agentguard.policy.document import (
    AskFor,
    Fragment,
    GrantsEntry,
    LimitEntry,
    RevealEntry,
    RiskSection,
    Root,
    RuleEntry,
    ToolEntry,
)
from agentguard.policy.masking_section import ActionEntry, LimitsEntry, MaskingSection, PatternEntry, ToolMasking
from agentguard.policy.patterns import is_exact, matches, sample

Key = tuple[type[BaseModel], str]


@dataclass(frozen=True, kw_only=True)
class Present:
    """A clause that a policy has: the key, the record that it is in, its value, its place, and a tool that it is about.

    `pattern`: what speaks for that tool; empty where nothing does. `parameter`: that of a reveal.
    """

    key: Key
    owner: Any
    value: object
    path: tuple[str | int, ...]
    place: Place
    name: str
    document: Document
    cases: Sequence[Case] = ()
    tool: str = ""
    pattern: str = ""
    parameter: str = ""


Verifier = Callable[[Ground, Present], Awaitable[Proof]]


def _because(reason: str) -> Verifier:
    async def verify(_ground: Ground, _clause: Present) -> Proof:
        raise NotApplicable(reason)

    return verify


_SECTION = _because("its entries are verified one by one")
_FORM = _because("it is checked when the policy loads")

VERIFIERS: dict[Key, Verifier] = {
    (Root, "version"): _FORM,
    (Root, "use"): _because("what is taken in is verified clause by clause"),
    (Root, "mode"): of_root.mode,
    **{(Root, key): _SECTION for key in ("risk", "tools", "rules", "approvals", "asking", "limits", "masking")},
    **{(Fragment, key): _SECTION for key in ("version", "use", "mode", "tools", "rules")},
    **{(RiskSection, key): of_root.level for key in ("low", "medium", "high", "critical")},
    (AskFor, "ask"): _because("it is verified with its level"),
    (ToolEntry, "risk"): of_tools.risk,
    (ToolEntry, "ask"): of_tools.ask,
    (ToolEntry, "deny"): of_tools.deny,
    (ToolEntry, "labels"): of_tools.labels,
    (ToolEntry, "params"): of_tools.params,
    (ToolEntry, "reveal"): of_tools.reveal,
    (ToolEntry, "title"): of_tools.title,
    (ToolEntry, "undo"): of_tools.undo,
    (ToolEntry, "mode"): of_tools.mode,
    (ToolEntry, "override"): _because("it is settled when the policy loads: the entry's own keys are verified"),
    (RevealEntry, "types"): _because("it is verified with the reveal that it is in"),
    (RevealEntry, "inside_text"): of_tools.inside_text,
    (RuleEntry, "id"): _because("it is a name"),
    (RuleEntry, "tools"): of_rules.tools,
    (RuleEntry, "when"): of_rules.when,
    (RuleEntry, "ask"): of_rules.ask,
    (RuleEntry, "deny"): of_rules.deny,
    (RuleEntry, "risk"): of_rules.risk,
    (RuleEntry, "reason"): of_rules.reason,
    (RuleEntry, "mode"): of_rules.mode,
    (LimitEntry, "tools"): of_limits.tools,
    (LimitEntry, "sum"): of_limits.over_it,
    (LimitEntry, "distinct"): of_limits.over_it,
    (LimitEntry, "max"): of_limits.over_it,
    (LimitEntry, "over"): of_limits.over,
    (LimitEntry, "per"): of_limits.per,
    (LimitEntry, "ask"): of_limits.ask,
    (LimitEntry, "deny"): of_limits.deny,
    (LimitEntry, "reason"): of_limits.reason,
    (LimitEntry, "mode"): of_limits.mode,
    (ApprovalEntry, "approvers"): of_approvals.approvers,
    (ApprovalEntry, "quorum"): of_approvals.quorum,
    (ApprovalEntry, "from_each"): of_approvals.from_each,
    (ApprovalEntry, "deadline"): of_approvals.deadline,
    (ApprovalEntry, "reject_quorum"): of_approvals.reject_quorum,
    (ApprovalEntry, "edit"): of_approvals.edit,
    (ApprovalEntry, "notify"): of_approvals.notify,
    (ApprovalEntry, "remind"): of_approvals.remind,
    (ApprovalEntry, "escalate"): of_approvals.escalate,
    **{(EscalateEntry, key): _because("it is verified with its ladder") for key in ("after", "to")},
    (AskingSection, "pending"): of_asking.pending,
    (AskingSection, "per_minute"): of_asking.per_minute,
    (AskingSection, "pause"): of_asking.pause,
    (AskingSection, "after_rejection"): of_asking.after_rejection,
    (ToolEntry, "once"): of_tools.once,
    (ToolEntry, "wait"): of_tools.wait,
    (RuleEntry, "wait"): of_rules.wait,
    (RuleEntry, "notify"): of_rules.notify,
    (ToolEntry, "grants"): of_approvals.grants,
    **{
        (GrantsEntry, key): _because("it is verified with its grants")
        for key in ("for_", "uses", "session", "same", "at_most")
    },
    (RuleEntry, "once"): of_rules.once,
    (ToolEntry, "masking"): _SECTION,
    (ToolMasking, "result"): of_masking.of_result,
    (ToolMasking, "arguments"): of_masking.of_arguments,
    (MaskingSection, "fields"): of_masking.fields,
    (MaskingSection, "actions"): of_masking.actions,
    (MaskingSection, "answer"): of_masking.answer,
    (MaskingSection, "thresholds"): of_masking.thresholds,
    (MaskingSection, "packs"): of_masking.found_packs,
    (MaskingSection, "patterns"): of_masking.patterns,
    (MaskingSection, "detectors"): _because("what a package's detector finds is not known here"),
    (MaskingSection, "allow"): of_masking.allowed,
    (MaskingSection, "deny"): of_masking.denied,
    (MaskingSection, "limits"): _SECTION,
    **{(LimitsEntry, key): of_masking.limit for key in ("characters", "nodes", "depth")},
    **{(ActionEntry, key): _because("it is verified with its action") for key in ("action", "keep")},
    **{
        (PatternEntry, key): _because(
            "it is verified with its pattern, whose examples are also run when the policy loads"
        )
        for key in ("entity", "pattern", "score", "context", "checksum", "match", "no_match")
    },
}
"""What verifies each key of each record that a policy is made of."""


def present(policy: Policy, cases: Sequence[Case] = ()) -> Iterator[Present]:
    """The clauses that a policy has, section by section."""
    document = policy.document
    found = partial(_of, policy, cases)
    if document.mode is not None:
        yield found(document, (), ("mode",), key=(Root, "mode"))
    yield from _keys(found, document.risk, ("risk",))
    for pattern, entry in document.tools.items():
        about = {"tool": _tool(policy, [pattern], cases), "pattern": pattern}
        yield from _keys(found, entry, ("tools", pattern), **about)
        if entry.masking is not None:
            yield from _keys(found, entry.masking, ("tools", pattern, "masking"), **about)
        for parameter, terms in entry.reveal.items():
            if isinstance(terms, RevealEntry):
                yield from _keys(found, terms, ("tools", pattern, "reveal", parameter), parameter=parameter, **about)
    for index, rule in enumerate(document.rules):
        spoken = [case.tool for case in cases if rule.id in (case.expect.clauses or ())]
        about = _about(policy, spoken[:1] or rule.tools, cases)
        yield from _keys(found, rule, ("rules", index), **about)
    for name, limit in document.limits.items():
        yield from _keys(found, limit, ("limits", name), **_about(policy, limit.tools, cases))
    for name, approval in document.approvals.items():
        yield from _keys(found, approval, ("approvals", name))
    yield from _keys(found, document.asking, ("asking",))
    yield from _keys(found, document.masking, ("masking",))
    yield from _keys(found, document.masking.limits, ("masking", "limits"))


def _keys(found: Callable[..., Present], owner: BaseModel, path: Path, **about: str) -> Iterator[Present]:
    """The keys of a record that somebody wrote."""
    for key in type(owner).model_fields:
        if key in owner.model_fields_set and getattr(owner, key) is not None:
            yield found(owner, path, (key,), key=(type(owner), key), **about)


def _of(
    policy: Policy, cases: Sequence[Case], owner: Any, path: Path, rest: Path, *, key: Key, **about: str
) -> Present:
    where = (*path, *rest)
    named = ("rules", owner.id, *rest) if path[:1] == ("rules",) else where
    return Present(
        key=key,
        owner=owner,
        value=getattr(owner, key[1]),
        path=where,
        place=policy.place(where),
        name=".".join(map(str, named)),
        document=policy.document,
        cases=cases,
        **about,
    )


def _about(policy: Policy, patterns: Sequence[str], cases: Sequence[Case]) -> dict[str, str]:
    tool = _tool(policy, patterns, cases)
    return {"tool": tool, "pattern": policy.terms(tool).pattern}


def _tool(policy: Policy, patterns: Sequence[str], cases: Sequence[Case]) -> str:
    """A tool that one of these patterns matches: one of the cases, or listed by its name, or made up."""
    listed = [case.tool for case in cases] + [each for each in policy.document.tools if is_exact(each)]
    if len(patterns) == 1 and patterns[0] in policy.document.tools:
        mine = [name for name in listed if policy.terms(name).pattern == patterns[0]]
        return mine[0] if mine else sample(patterns[0], "verify")
    found = [name for name in listed if any(matches(pattern, name) for pattern in patterns)]
    return found[0] if found else sample(patterns[0], "verify")
