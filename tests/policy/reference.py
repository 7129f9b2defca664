"""The meaning of a policy, once more and as plainly as possible: what the real one is compared with."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

ORDER = ["low", "medium", "high", "critical"]
STRICT = ["allow", "ask", "deny"]
LEVELS = {"low": "allow", "medium": "allow", "high": "on-call", "critical": "stewards"}


class Answer(NamedTuple):
    effect: str
    risk: str
    needs: list[str]
    clauses: list[str]


def judged(tools: dict[str, dict[str, str]], rules: list[dict[str, object]], tool: str, limit: int) -> Answer:
    """What these tools and rules say of a call with `limit`; a rule's condition is `args.limit > over`."""
    won = winner(tools, tool)
    if won is None:
        return Answer("deny", "critical", [], ["(unlisted)"])
    entry = tools[won]
    effects, risks, asks, clauses = [], [entry["risk"]], set(), [won]
    asks |= {entry.get("ask", LEVELS[entry["risk"]])} - {"allow"}
    effects.append("deny" if "deny" in entry else "ask" if asks else "allow")
    for rule in sorted(rules, key=lambda rule: str(rule["id"])):
        if any(fnmatchcase(tool, pattern) for pattern in rule["tools"]) and limit > rule["over"]:  # type: ignore[attr-defined, operator]
            clauses.append(str(rule["id"]))
            risk = str(rule.get("risk", "low"))
            raised = {LEVELS[risk]} - {"allow"} if ORDER.index(risk) > ORDER.index(entry["risk"]) else set()
            mine = raised | ({str(rule["ask"])} if "ask" in rule else set())
            effects.append("deny" if "deny" in rule else "ask" if mine else "allow")
            asks |= mine
            risks.append(risk)
    effect = max(effects, key=STRICT.index)
    return Answer(effect, max(risks, key=ORDER.index), sorted(asks) if effect == "ask" else [], clauses)


def winner(tools: dict[str, dict[str, str]], tool: str) -> str | None:
    """The pattern with the most literal characters; a tie takes the higher risk, then the exact name."""
    matching = [pattern for pattern in tools if fnmatchcase(tool, pattern)]
    return max(matching, key=lambda each: strength(each, tools[each]["risk"]), default=None)


def strength(pattern: str, risk: str) -> tuple[int, int, bool]:
    return len(pattern.replace("*", "").replace("?", "")), ORDER.index(risk), "*" not in pattern and "?" not in pattern
