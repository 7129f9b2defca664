"""The meaning of a policy, once more and as plainly as possible: what the real one is compared with."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple

ORDER = ["low", "medium", "high", "critical"]
STRICT = ["allow", "ask", "deny"]
LEVELS = {"low": "allow", "medium": "allow", "high": "on-call", "critical": "stewards"}


class Answer(NamedTuple):
    effect: str
    risk: str
    needs: list[str]
    clauses: list[str]


def judged(tools: dict[str, Any], rules: list[dict[str, Any]], tool: str, limit: object) -> Answer:
    """What these tools and rules say of a call with `limit`; a rule's condition is `args.limit > over`."""
    entries = {pattern: entry for pattern, entry in tools.items() if entry.get("mode") != "shadow"}
    won = winner(entries, tool)
    if winner(tools, tool) is None:
        return Answer("deny", "critical", [], ["(unlisted)"])
    entry = entries[won] if won else {"risk": "critical", "deny": True}
    effects, risks, asks, clauses = [], [entry["risk"]], set(), [won or "(unlisted)"]
    asks |= {entry.get("ask", LEVELS[entry["risk"]])} - {"allow"}
    effects.append("deny" if "deny" in entry else "ask" if asks else "allow")
    for rule in sorted(rules, key=lambda rule: str(rule["id"])):
        if rule.get("mode") == "shadow" or not speaks(rule, tool, limit):
            continue
        clauses.append(str(rule["id"]))
        risk = str(rule.get("risk", "low"))
        raised = {LEVELS[risk]} - {"allow"} if ORDER.index(risk) > ORDER.index(entry["risk"]) else set()
        mine = raised | ({str(rule["ask"])} if "ask" in rule else set())
        effects.append("deny" if "deny" in rule else "ask" if mine else "allow")
        asks |= mine
        risks.append(risk)
    effect = max(effects, key=STRICT.index)
    return Answer(effect, max(risks, key=ORDER.index), sorted(asks) if effect == "ask" else [], clauses)


def speaks(rule: dict[str, Any], tool: str, limit: object) -> bool:
    """Whether a rule matches a tool and its condition counts as met: one that can't be decided does."""
    met = not isinstance(limit, int) or limit > rule["over"]
    return met and any(fnmatchcase(tool, pattern) for pattern in rule["tools"])


def winner(tools: dict[str, Any], tool: str) -> str | None:
    """The pattern with the most literal characters; a tie takes the higher risk, then the exact name."""
    matching = [pattern for pattern in tools if fnmatchcase(tool, pattern)]
    return max(matching, key=lambda each: strength(each, tools[each]["risk"]), default=None)


def strength(pattern: str, risk: str) -> tuple[int, int, bool]:
    return len(pattern.replace("*", "").replace("?", "")), ORDER.index(risk), "*" not in pattern and "?" not in pattern


def told(answer: Answer, tool: str) -> list[str]:
    """How an explanation begins, and the clauses and approvals that it names, in order."""
    words = {"allow": "is allowed", "ask": "must be asked about", "deny": "is denied"}
    clauses = ["unlisted" if clause == "(unlisted)" else clause for clause in answer.clauses]
    return [f"{tool} {words[answer.effect]}; risk {answer.risk}", *clauses, *(f"needs {need}" for need in answer.needs)]


@cache
def meet(one: str, other: str) -> bool:
    """Whether some name could match both patterns, by reading them in every way."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return meet(one[1:], other) or meet(one, other[1:])
    if other[0] == "*":
        return meet(one, other[1:]) or meet(one[1:], other)
    return (one[0] == other[0] or "?" in (one[0], other[0])) and meet(one[1:], other[1:])
