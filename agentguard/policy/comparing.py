"""Two policies side by side: what became laxer, and what stricter, clause by clause and over calls. Pure.

Rules:
- a tool is what speaks for it: a pattern that is new, or gone, is held against the pattern that spoke for its tools before, or does now;
- rules, limits and approvals are compared by name; one that is gone is laxer, a new one stricter (of approvals: neither, by itself);
- what can't be told is said to be unclear, never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from agentguard.model.problems import Place
from agentguard.model.verdicts import Mode, Risk
from agentguard.policy.changes import Change, effect_of, was
from agentguard.policy.directions import INSTEAD, JUDGES, Sure, Way, of_action, of_effect, of_mode, there_is, wider_is
from agentguard.policy.document import Document, level_effect
from agentguard.policy.policy import Policy
from agentguard.policy.tool_changes import Speakers, tool_changes


def compare(old: Policy, new: Policy) -> list[Change]:
    """Every clause that differs, in the order of the sections."""
    return [
        *_levels(old, new),
        *_tools(old, new),
        *_named("rule", old, new, _rules(old.document), _rules(new.document)),
        *_named("limit", old, new, *(_placed("limits", each.document.limits) for each in (old, new))),
        *_named("approval", old, new, *(_placed("approvals", each.document.approvals) for each in (old, new))),
        *_asking(old, new),
        *_masking(old, new),
        *_pins(old, new),
        *_mode(old, new),
        *_others(old, new),
    ]


_COMPARED = frozenset({"version", "mode", "risk", "tools", "rules", "approvals", "asking", "limits", "masking"})


def _levels(old: Policy, new: Policy) -> Iterator[Change]:
    for risk in Risk:
        before, now = (level_effect(each.document.risk.of(risk)) for each in (old, new))
        if before != now:
            way = Way.UNCLEAR if before[0] is now[0] else of_effect(before[0], now[0])
            how = f"{effect_of(*now)}, was {effect_of(*before)}"
            yield Change(way=way, what=f"risk {risk}", how=how, place=new.place(("risk", risk.value)))


def _tools(old: Policy, new: Policy) -> Iterator[Change]:
    then, here = Speakers(old.document), Speakers(new.document)
    for pattern in sorted({*old.document.tools, *new.document.tools}):
        owner = new if pattern in new.document.tools else old
        name = (here if owner is new else then).won_by(pattern)
        if name is None:
            continue
        before, now = then.speaking(name), here.speaking(name)
        place = owner.place(("tools", pattern))
        gone = "" if owner is new else " (it is gone)"
        for way, how in tool_changes((old.document, before), (new.document, now)):
            yield Change(way=way, what=f"tools {pattern}{gone}", how=how, place=place)


_Entries = Mapping[str, tuple[BaseModel, tuple[str | int, ...]]]


def _rules(document: Document) -> _Entries:
    return {rule.id: (rule, ("rules", index)) for index, rule in enumerate(document.rules)}


def _placed(section: str, entries: Mapping[str, BaseModel]) -> _Entries:
    return {name: (entry, (section, name)) for name, entry in entries.items()}


def _named(kind: str, old: Policy, new: Policy, before: _Entries, now: _Entries) -> Iterator[Change]:
    """Rules, limits or approvals by name."""
    tells_nothing = kind == "approval"  # what asks for it tells
    for name in sorted({*before, *now}):
        what = f"{kind} {name}"
        if name not in now:
            way = Way.UNCLEAR if tells_nothing else _unless_shadow(before[name][0], Way.LAXER)
            yield from _change(way, what, "is gone", old.place(before[name][1]))
        elif name not in before:
            way = None if tells_nothing else _unless_shadow(now[name][0], Way.STRICTER)
            yield from _change(way, what, "is new", new.place(now[name][1]))
        else:
            for way, how in _entry_changes(before[name][0], now[name][0]):
                yield Change(way=way, what=what, how=how, place=new.place(now[name][1]))


def _unless_shadow(entry: BaseModel, way: Way) -> Way | None:
    return None if getattr(entry, "mode", None) is Mode.SHADOW else way


def _change(way: Way | None, what: str, how: str, place: Place) -> Iterator[Change]:
    if way is not None:
        yield Change(way=way, what=what, how=how, place=place)


def _entry_changes(before: BaseModel, now: BaseModel) -> Iterator[tuple[Way, str]]:
    judges = JUDGES[type(now)]
    for key in type(now).model_fields:
        meaning = INSTEAD.get(key, key)
        old, new = getattr(before, meaning), getattr(now, meaning)
        if old == new or (isinstance(old, tuple) and isinstance(new, tuple) and set(old) == set(new)):
            continue
        way = judges[meaning](old, new) if meaning in judges else Way.UNCLEAR
        if way is not None:
            yield way, was(key, getattr(now, key), getattr(before, key))


def _asking(old: Policy, new: Policy) -> Iterator[Change]:
    for way, how in _entry_changes(old.asking, new.asking):
        yield Change(way=way, what="asking", how=how, place=new.place(("asking",)))


def _masking(old: Policy, new: Policy) -> Iterator[Change]:
    before, now = old.masking, new.masking
    place = new.place(("masking",))
    for path in sorted({*before.fields, *now.fields}):
        had, has = before.fields.get(path), now.fields.get(path)
        if had != has:
            way = there_is(Way.STRICTER)(had, has)
            yield Change(way=way, what=f"masking field {path}", how=was("type", has, had), place=place)
    for kind in sorted({*before.actions, *now.actions, "*"}):
        then, here = (each.actions.get(kind) or each.actions.get("*", "token") for each in (before, now))
        if then != here:
            how = was("action", here, then)
            yield Change(way=of_action(then, here), what=f"masking {kind}", how=how, place=place)
    for key in sorted(type(now).model_fields.keys() - {"fields", "actions"}):
        had, has = getattr(before, key), getattr(now, key)
        if had != has:
            judged = _MASKING.get(key, _unclear)(_flat(had), _flat(has))
            yield Change(way=judged, what=f"masking {key}", how="changed", place=place)


def _flat(value: Any) -> Any:
    """A mapping as the set of what it says, so that one which says more holds the other."""
    if not isinstance(value, dict):
        return value
    return {
        (key, each) for key, inner in value.items() for each in (inner if isinstance(inner, tuple) else [str(inner)])
    }


def _unclear(_: Any, __: Any) -> Way:
    return Way.UNCLEAR


_MASKING: dict[str, Sure] = {
    "packs": wider_is(Way.STRICTER),
    "patterns": wider_is(Way.STRICTER),
    "detectors": wider_is(Way.STRICTER),
    "deny": wider_is(Way.STRICTER),
    "allow": wider_is(Way.LAXER),
}
"""What more of it does. Other keys of the section are unclear."""


def _pins(old: Policy, new: Policy) -> Iterator[Change]:
    before, now = old.pins, new.pins
    if before is None and now is not None:
        yield Change(way=Way.STRICTER, what="pins", how="tools are pinned now", place=now.place(""))
    elif before is not None and now is None:
        yield Change(way=Way.LAXER, what="pins", how="no tool is pinned any more", place=before.place(""))
    elif before is not None and now is not None:
        for name in sorted({*before.tools, *now.tools}):
            had, has = before.tools.get(name), now.tools.get(name)
            if had != has:
                how = "is gone" if has is None else "is new" if had is None else "changed"
                place = (now if has else before).place(name)
                yield Change(way=there_is(Way.LAXER)(had, has), what=f"pin of {name}", how=how, place=place)


def _mode(old: Policy, new: Policy) -> Iterator[Change]:
    way = of_mode(old.document.mode, new.document.mode)
    if way is not None:
        how = was("mode", new.document.mode or Mode.ENFORCE, old.document.mode or Mode.ENFORCE)
        yield Change(way=way, what="policy", how=how, place=new.place(("mode",)))


def _others(old: Policy, new: Policy) -> Iterator[Change]:
    """Sections that nothing above looks into."""
    for key in sorted(Document.model_fields.keys() - _COMPARED):
        if getattr(old.document, key) != getattr(new.document, key):
            yield Change(way=Way.UNCLEAR, what=key, how="changed", place=new.place((key,)))
