"""The tests of the evaluator notice when it is wrong: each small change of its code gives another answer than the reference somewhere."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import random
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import pytest

from agentguard.errors import PolicyError
from agentguard.policy import Policy, load
from agentguard.policy.judging import highest, needs_of, rule_effect, strictest, tool_effect
from agentguard.policy.patterns import is_exact, literals, matches
from agentguard.policy.planning import Planner
from agentguard.policy.plans import Plan
from agentguard.policy.reading import Reading
from tests.policy import reference
from tests.policy.policies import ROOT, judge, needed, source, spoke

NAMES = ["send", "send_mail", "sent", "read", "a", "ab", "zz", "aXbXc", "aXc"]
PATTERNS = [
    "*",
    "send",
    "send*",
    "send_*",
    "s?nt",
    "s?n?",
    "sen*",
    "????",
    "read",
    "r*",
    "a",
    "a?",
    "?b",
    "ab",
    "ab*",
    "*d",
    "a*b*c",
    "*_*l",
]
EVALUATOR: list[Any] = [
    tool_effect, rule_effect, strictest, highest, needs_of, matches, literals, is_exact,
    Reading.met, Plan._said, Planner._entry_speaker,
]  # fmt: skip
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add,
}  # fmt: skip
NOT_SEEN = {
    "matches: at < len(pattern) and pattern[at] == '*' -> if not",  # never comes to an answer
    "matches: -1 -> -2",  # where no star was met yet
    "strictest: Effect.ALLOW -> not ALLOW",  # of no clauses at all
    "Reading.met: self._activation is None and (not self._broken) -> And",  # prepares once more what is prepared
    "Reading.met: value.type() == cel.Type.ERROR -> Eq",  # another code for the same failure
    "Reading.met: value.type() == cel.Type.ERROR -> if not",
}
"""Changes that no answer shows, and why."""
BY_HAND: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    ({"ab": {"risk": "high"}, "ab*": {"risk": "high", "ask": "board"}}, []),
    ({"a?": {"risk": "high"}, "a": {"risk": "high", "ask": "board"}, "a*b*c": {"risk": "low"}}, []),
    ({"s?n?": {"risk": "low"}, "sen*": {"risk": "critical"}, "????": {"risk": "medium"}}, []),
    ({"*": {"risk": "high"}, "s*": {"risk": "low"}, "????": {"risk": "medium", "deny": True}}, []),
    ({"send": {"risk": "high", "ask": "board"}}, [{"id": "r0", "tools": ["send"], "over": 0, "risk": "high"}]),
]
"""Policies that chance seldom makes: ties, and a rule that asks for the risk that is there already."""


def _changes(tree: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], None]]]:  # noqa: C901 - one case a change
    """Every change of a function, as what to do to the same node of a copy."""
    negated = {id(node.operand) for node in ast.walk(tree) if isinstance(node, ast.UnaryOp)}
    for index, node in enumerate(ast.walk(tree)):
        line = (
            ast.unparse(node.test if isinstance(node, (ast.If, ast.IfExp)) else node)
            if isinstance(node, (ast.expr, ast.If))
            else ""
        )
        match node:
            case ast.Compare(ops=[op]) if type(op) in SWAPS:
                yield f"{index}:{line} -> {type(op).__name__}", _swap("ops", [SWAPS[type(op)]()])
            case ast.BoolOp(op=op):
                yield f"{index}:{line} -> {type(op).__name__}", _swap("op", SWAPS[type(op)]())
            case ast.BinOp(op=op) if type(op) in SWAPS:
                yield f"{index}:{line} -> {type(op).__name__}", _swap("op", SWAPS[type(op)]())
            case ast.IfExp() | ast.If():
                yield f"{index}:{line} -> if not", _negate
            case ast.Name(id="max"):
                yield f"{index}:{line} -> min", _swap("id", "min")
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
                yield f"{index}:{line} -> -{value + 1}", _swap("operand", ast.Constant(value=value + 1))
            case ast.Constant(value=bool(value)):
                yield f"{index}:{line} -> {not value}", _swap("value", not value)
            case ast.Constant(value=int(value)) if id(node) not in negated:
                yield f"{index}:{line} -> {value}+1", _swap("value", value + 1)
            case ast.Attribute(attr="ALLOW" | "ASK" | "DENY" as name):
                yield (
                    f"{index}:{line} -> not {name}",
                    _swap("attr", {"ALLOW": "DENY", "ASK": "ALLOW", "DENY": "ALLOW"}[name]),
                )


def _swap(name: str, value: Any) -> Callable[[ast.AST], None]:
    return lambda node: setattr(node, name, value)


def _negate(node: ast.AST) -> None:
    assert isinstance(node, (ast.IfExp, ast.If))
    node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)


def _mutants() -> Iterator[Any]:
    for function in EVALUATOR:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        for name, change in _changes(tree):
            label = f"{function.__qualname__}: {name.partition(':')[2]}"
            if label not in NOT_SEEN:
                yield pytest.param(function, name, change, id=label)


def _code(function: FunctionType, name: str, change: Callable[[ast.AST], None]) -> Any:
    """The function's code, changed at one node."""
    tree = copy.deepcopy(ast.parse(textwrap.dedent(inspect.getsource(function))))
    index = int(name.partition(":")[0])
    change(list(ast.walk(tree))[index])
    ast.fix_missing_locations(tree)
    made: dict[str, Any] = {}
    exec(
        compile(tree, "mutant", "exec", dont_inherit=False),
        dict(function.__globals__),
        made,
    )
    return made[function.__name__].__code__


def _world() -> list[tuple[Policy, dict[str, Any], list[dict[str, Any]]]]:
    """Policies of many shapes, the same at every run."""
    chosen = random.Random(7)
    found = []
    for tools, rules in BY_HAND:
        found.append((_loaded(tools, rules), tools, rules))
    while len(found) < 60:
        tools = {
            pattern: {"risk": chosen.choice(reference.ORDER)}
            | chosen.choice([{}, {}, {"ask": "board"}, {"deny": True}, {"mode": "shadow"}])
            for pattern in chosen.sample(PATTERNS, chosen.randint(0, 5))
        }
        rules = [
            {
                "id": f"r{index}",
                "tools": chosen.sample(PATTERNS, chosen.randint(1, 2)),
                "over": chosen.randint(-1, 3),
                **chosen.choice(
                    [
                        {"ask": "board"},
                        {"ask": "on-call"},
                        {"deny": True},
                        {"risk": "high"},
                        {"risk": "critical", "ask": "board"},
                        {"risk": "medium"},
                    ]
                ),
                "mode": chosen.choice(["enforce", "enforce", "enforce", "shadow"]),
            }
            for index in range(chosen.randint(0, 4))
        ]
        try:
            policy = _loaded(tools, rules)
        except PolicyError:
            continue  # patterns that are equally specific
        found.append((policy, tools, rules))
    return found


def _loaded(tools: dict[str, Any], rules: list[dict[str, Any]]) -> Policy:
    real = [
        {**{k: v for k, v in rule.items() if k != "over"}, "when": f"args.limit > {rule['over']}"} for rule in rules
    ]
    return load([source(f"{ROOT}\ntools: {json.dumps(tools)}\nrules: {json.dumps(real)}\n")])


@pytest.fixture(scope="module")
def world() -> list[tuple[Policy, dict[str, Any], list[dict[str, Any]]]]:
    return _world()


def _forget(policy: Policy) -> None:
    """Have a policy work out everything anew."""
    policy._plan.cache_clear()
    policy._same.cache_clear()
    policy._planner.__dict__.pop("_by_strictness", None)


def _differs(world: list[tuple[Policy, dict[str, Any], list[dict[str, Any]]]]) -> bool:
    """Whether some call gets another answer than the reference gives."""
    for policy, tools, rules in world:
        _forget(policy)
        for name in NAMES:
            for limit in (0, 2, "text"):
                try:
                    verdict = judge(policy, name, {"limit": limit})
                except Exception:  # noqa: BLE001 - a mutant may raise anything
                    return True
                seen = reference.Answer(str(verdict.effect), str(verdict.risk), needed(verdict), spoke(verdict))
                if seen != reference.judged(tools, rules, name, limit):
                    return True
    return False


def test_t20_the_evaluator_as_it_is_agrees_with_the_reference(world: list[Any]) -> None:
    """Else the tests below would show nothing."""
    assert not _differs(world)


@pytest.mark.parametrize(("function", "name", "change"), list(_mutants()))
def test_t20_a_change_of_the_evaluator_is_noticed(world: list[Any], function: Any, name: str, change: Any) -> None:
    """Every comparison, branch, constant and effect of it matters to some call."""
    code = function.__code__
    function.__code__ = _code(function, name, change)
    try:
        noticed = _differs(world)
    finally:
        function.__code__ = code
        for policy, _, _ in world:
            _forget(policy)

    assert noticed
