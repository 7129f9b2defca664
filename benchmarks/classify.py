"""What it costs to classify a call, beside five bare evaluations of CEL, cedarpy, and LangChain's own predicates.

A policy of so many rules and 300 tool patterns; five of the rules concern the tool.
- each thing is measured in rounds that take turns, in one process, and the figure is the ratio of medians;
- the floor is what any policy in CEL must do: one activation of the call's values, and the same five conditions evaluated over it;
- cedarpy gets the same rules as Cedar policies; LangChain's `interrupt_on` gets the five conditions as a Python predicate in `when`, called
  with a request as its middleware does: no rules for other tools, no risk, no reasons, no places.

Exit code 1 if classifying costs more than TIMES_MOST floors at 1,000 rules, or more than FLAT_MOST times as much at 10,000 rules as at 100.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from cel_expr_python import cel
from langchain.agents.middleware.types import ToolCallRequest

from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.verdicts import Effect
from agentguard.policy import Policy, Source, load

TOOL, PATTERNS, RULES = "send_email_17", 300, (100, 1_000, 10_000)
TIMES_MOST, FLAT_MOST = 3.0, 1.25
ROUNDS, CALLS = 40, 50
CONDITIONS = (
    'args.to.exists(r, r.endsWith("@evil.example"))',
    "size(args.to) > 20",
    'args.subject.matches("(?i)wire transfer")',
    '"customer-data" in session.labels && args.to.exists(r, !r.endsWith("@acme.example"))',
    "size(args.body) > 5000",
)
ARGUMENTS = {
    "to": ["ann@acme.example", "bob@acme.example"],
    "subject": "Lunch on Friday",
    "body": "See you at noon. " * 20,
    "urgent": False,
}
ANN = Principal(tenant="acme", agent="helper", user="ann@acme.example", session="s1")
FACTS = Facts(labels=("untrusted",), over=())


def policy_of(rules: int) -> Policy:
    """A policy of so many rules, five of them about the tool."""
    tools: dict[str, Any] = {f"send_email_{n}" if n % 3 else f"tool_{n}_*": {"risk": "medium"} for n in range(PATTERNS)}
    tools[TOOL] = {"risk": "medium"}
    own = [{"id": f"own-{n}", "tools": [TOOL], "when": when, "deny": True} for n, when in enumerate(CONDITIONS)]
    other = [
        {"id": f"other-{n}", "tools": [f"tool_{n % PATTERNS}_{n}*"], "when": f"args.limit > {n}", "deny": True}
        for n in range(rules - len(own))
    ]
    text = json.dumps(
        {
            "version": 1,
            "risk": {"low": "allow", "medium": "allow", "high": {"ask": "on-call"}, "critical": {"ask": "on-call"}},
            "tools": tools,
            "rules": own + other,
            "approvals": {"on-call": {"approvers": ["group:on-call"], "deadline": "10m"}},
        }
    )
    halves = max(1, rules // 2_500)  # a file holds at most 1 MB
    return load([Source(file="policy.yaml", text=text)] if halves == 1 else _spread(json.loads(text), halves))


def _spread(whole: dict[str, Any], parts: int) -> list[Source]:
    rules = whole.pop("rules")
    sources = [Source(file="policy.yaml", text=json.dumps(whole))]
    for part in range(parts):
        text = json.dumps({"version": 1, "rules": rules[part::parts]})
        sources.append(Source(file=f"rules{part}.yaml", text=text))
    return sources


def bare() -> Callable[[], object]:
    """The same five conditions over one activation, and nothing else."""
    kinds = {"args": cel.Type.Map(cel.Type.STRING, cel.Type.DYN), "session.labels": cel.Type.List(cel.Type.STRING)}
    environment = cel.NewEnv(variables=kinds)
    compiled = [environment.compile(text) for text in CONDITIONS]

    def evaluate() -> list[object]:
        activation = environment.Activation({"args": ARGUMENTS, "session.labels": ["untrusted"]})
        return [expression.eval(activation).value() for expression in compiled]

    return evaluate


def cedar(rules: int) -> Callable[[], object] | None:
    """The same rules as Cedar policies, parsed anew at each call: that is how cedarpy takes them."""
    try:
        import cedarpy  # noqa: PLC0415 - it may not be installed
    except ImportError:
        return None
    own = [
        'context.to.contains("x@evil.example")',
        "context.recipients > 20",
        'context.subject like "*wire transfer*"',
        'context.labels.contains("customer-data") && context.outside',
        "context.size > 5000",
    ]
    policies = ["permit(principal, action, resource);"]
    policies += [f'forbid(principal, action == Action::"{TOOL}", resource) when {{ {when} }};' for when in own]
    policies += [
        f'forbid(principal, action == Action::"tool_{n % PATTERNS}_{n}", resource) when {{ context.limit > {n} }};'
        for n in range(rules - len(own))
    ]
    text = "\n".join(policies)
    to: Any = ARGUMENTS["to"]
    context = {
        "to": to, "recipients": len(to), "subject": ARGUMENTS["subject"], "labels": ["untrusted"], "size": 340, "limit": 0,
        "outside": not all(each.endswith("@acme.example") for each in to),
    }  # fmt: skip
    request = {
        "principal": 'User::"ann"',
        "action": f'Action::"{TOOL}"',
        "resource": 'Tool::"mail"',
        "context": context,
    }

    def decide() -> object:
        return cedarpy.is_authorized(request, text, []).decision

    return decide


def predicates() -> Callable[[], object]:
    """The five conditions as LangChain's `interrupt_on` takes them: a predicate on the request, in Python."""
    labels = ["untrusted"]

    def when(request: ToolCallRequest) -> bool:
        args = request.tool_call["args"]
        return (
            any(r.endswith("@evil.example") for r in args["to"])
            or len(args["to"]) > 20
            or "wire transfer" in args["subject"].lower()
            or ("customer-data" in labels and any(not r.endswith("@acme.example") for r in args["to"]))
            or len(args["body"]) > 5000
        )

    interrupt_on: dict[str, Any] = {TOOL: {"allowed_decisions": ["approve", "reject"], "when": when}}

    def decide() -> bool:
        config = interrupt_on.get(TOOL)
        call: Any = {"name": TOOL, "args": ARGUMENTS, "id": "call-1"}
        request = ToolCallRequest(tool_call=call, tool=None, state={}, runtime=None)  # type: ignore[arg-type]
        return config is not None and bool(config["when"](request))

    return decide


def medians(things: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median microseconds of each, over rounds that take turns."""
    times: dict[str, list[float]] = {name: [] for name in things}
    for name, run in things.items():
        run()
        times[name].clear()
    for _ in range(rounds):
        for name, run in things.items():
            calls = CALLS if not name.startswith("cedarpy") else 2
            started = time.perf_counter_ns()
            for _ in range(calls):
                run()
            times[name].append((time.perf_counter_ns() - started) / calls / 1000)
    return {name: statistics.median(found) for name, found in times.items()}


def classifying(policy: Policy) -> Callable[[], object]:
    def classify() -> object:
        verdict = policy.classify(TOOL, ARGUMENTS, ANN, FACTS)
        assert verdict.effect is Effect.ALLOW
        return verdict

    return classify


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = options.parse_args(arguments).rounds
    things: dict[str, Callable[[], object]] = {"five bare evaluations": bare()}
    loads = {}
    for rules in RULES:
        started = time.perf_counter()
        policy = policy_of(rules)
        loads[rules] = time.perf_counter() - started
        things[f"classify, {rules} rules"] = classifying(policy)
    things["interrupt_on predicates"] = predicates()
    for rules in RULES[:2]:
        peer = cedar(rules)
        if peer is not None:
            things[f"cedarpy, {rules} rules"] = peer
    found = medians(things, rounds)
    floor = found["five bare evaluations"]
    for name, microseconds in found.items():
        print(f"{name:28} {microseconds:9.1f} us  {microseconds / floor:8.2f} x")
    print("loading: " + ", ".join(f"{rules} rules {seconds:.2f} s" for rules, seconds in loads.items()))
    times = found[f"classify, {RULES[1]} rules"] / floor
    flat = found[f"classify, {RULES[-1]} rules"] / found[f"classify, {RULES[0]} rules"]
    print(
        f"{times:.2f} floors at {RULES[1]} rules (at most {TIMES_MOST}); "
        f"{flat:.2f} times at {RULES[-1]} what it is at {RULES[0]} (at most {FLAT_MOST})"
    )
    return int(times > TIMES_MOST or flat > FLAT_MOST)


if __name__ == "__main__":
    sys.exit(main())
