"""What happens here in numbers, as Prometheus reads them (text format 0.0.4). Counts only: no name, id or value of anybody's.

A route stands as its template, so a path that nobody serves adds no series.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_Labels = tuple[tuple[str, str], ...]


@dataclass(kw_only=True)
class Metrics:
    """The counters of one process."""

    _counts: Counter[tuple[str, _Labels]] = field(default_factory=Counter)
    _seconds: dict[str, list[float]] = field(default_factory=dict)

    def count(self, name: str, **labels: str) -> None:
        """One more."""
        self._counts[name, tuple(sorted(labels.items()))] += 1

    def took(self, route: str, seconds: float) -> None:
        """A request was answered."""
        found = self._seconds.setdefault(route, [0.0] * (len(BUCKETS) + 2))
        found[bisect_left(BUCKETS, seconds)] += 1
        found[-1] += seconds

    def written(self, gauges: Mapping[str, float]) -> str:
        """All of it, with these gauges of now."""
        lines: list[str] = []
        for name in sorted({name for name, _ in self._counts}):
            lines.append(f"# TYPE {name} counter")
            lines += [
                f"{name}{_braced(labels)} {n}" for (each, labels), n in sorted(self._counts.items()) if each == name
            ]
        lines += [
            line for name, value in sorted(gauges.items()) for line in (f"# TYPE {name} gauge", f"{name} {value:g}")
        ]
        if self._seconds:
            lines.append("# TYPE agentguard_http_seconds histogram")
        for route, found in sorted(self._seconds.items()):
            lines += _histogram(route, found)
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Measured:
    """Counts what the app inside answers, by route and status."""

    app: ASGIApp
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self.metrics.took(_route(scope), time.perf_counter() - started)
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.metrics.count("agentguard_http_requests_total", method=method, route=_route(scope), status=str(status))


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "none"))


def _histogram(route: str, found: list[float]) -> Iterable[str]:
    total = 0.0
    for bound, n in zip((*BUCKETS, float("inf")), found[:-1], strict=True):
        total += n
        le = "+Inf" if bound == float("inf") else f"{bound:g}"
        yield f'agentguard_http_seconds_bucket{{route="{route}",le="{le}"}} {total:g}'
    yield f'agentguard_http_seconds_count{{route="{route}"}} {total:g}'
    yield f'agentguard_http_seconds_sum{{route="{route}"}} {found[-1]:.6f}'


def _braced(labels: _Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
