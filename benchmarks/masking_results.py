"""How much of labelled tool results is masked, and how much of clean ones, beside the peers that are installed.

    .venv/bin/python -m benchmarks.masking_results [--seed N] [--misses]

Recall is over names and addresses (PERSON, ADDRESS, CITY, ZIP_CODE): a value counts where one finding of such a type
covers more than half of both together. Leak is the share of all personal characters that no finding covers. `beside`
is the share of the other characters that a finding covers, and alarms are findings in clean results per 100 kB.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agentguard.masking import Masker
from benchmarks.peers import Find, Span, installed
from benchmarks.tool_results.clean import clean
from benchmarks.tool_results.held_out import HELD_OUT
from benchmarks.tool_results.labelled import labelled, written
from benchmarks.tool_results.planted import Document
from benchmarks.tool_results.records import SOURCES

NAMES = {"PERSON", "FIRST_NAME", "LAST_NAME"}
PLACES = {"ADDRESS", "STREET_ADDRESS", "CITY", "ZIP_CODE", "LOCATION"}


class Score(NamedTuple):
    """Counts over some documents."""

    values: int = 0
    hit: int = 0
    personal: int = 0
    leaked: int = 0
    other: int = 0
    beside: int = 0

    def __add__(self, more: Score) -> Score:  # type: ignore[override]
        """Both together."""
        return Score(*(mine + its for mine, its in zip(self, more, strict=True)))

    @property
    def recall(self) -> float:
        """Of names and addresses."""
        return self.hit / max(1, self.values)

    @property
    def leak(self) -> float:
        """Of all personal characters."""
        return self.leaked / max(1, self.personal)

    def __str__(self) -> str:
        return f"recall {self.recall:.3f}  leak {self.leak:.4f}  beside {self.beside / max(1, self.other):.4f}"


def agentguard() -> Find:
    masker = Masker()
    return lambda text: [(found.start, found.end, found.entity_type) for found in masker.find(text)]


def scored(document: Document, found: Sequence[Span]) -> Score:
    covered = bytearray(len(document.text))
    for start, end, _ in found:
        covered[start:end] = b"\1" * (end - start)
    gold = bytearray(len(document.text))
    for start, end, _ in document.spans:
        gold[start:end] = b"\1" * (end - start)
    named = [span for span in document.spans if span[2] in NAMES | PLACES]
    return Score(
        values=len(named),
        hit=sum(any(_same(span, one) for one in found) for span in named),
        personal=sum(gold),
        leaked=sum(1 for mine, its in zip(gold, covered, strict=True) if mine and not its),
        other=len(gold) - sum(gold),
        beside=sum(1 for mine, its in zip(gold, covered, strict=True) if its and not mine),
    )


def _same(span: Span, found: Span) -> bool:
    overlap = min(span[1], found[1]) - max(span[0], found[0])
    kind = NAMES if span[2] in NAMES else PLACES
    return found[2] in kind and 2 * overlap > max(span[1], found[1]) - min(span[0], found[0])


def misses(documents: Iterable[Document], find: Find) -> None:
    """What was not found, by shape, source and type, and what was found in vain."""
    counted: Counter[tuple[str, str, str]] = Counter()
    shown: dict[tuple[str, str, str], str] = {}
    for document in documents:
        found = find(document.text)
        for start, end, kind in document.spans:
            if not any(one[0] <= start and end <= one[1] for one in found):
                at = (document.shape, document.source, kind)
                counted[at] += 1
                shown[at] = document.text[max(0, start - 50) : end + 15]
        if not document.spans:
            for start, end, kind in found:
                counted[document.shape, "clean", kind] += 1
                shown[document.shape, "clean", kind] = document.text[max(0, start - 50) : end + 15]
    for at, count in counted.most_common(80):
        print(f"{count:4}  {' '.join(at):50} {shown[at]!r}")


def report(name: str, find: Find, sets: dict[str, list[Document]]) -> dict[str, Score]:
    """Print one finder's figures."""
    totals: dict[str, Score] = {}
    for called, documents in sets.items():
        if called == "clean":
            size = sum(len(document.text.encode()) for document in documents)
            alarms = sum(len(find(document.text)) for document in documents)
            print(f"{name:12} {called:10} {alarms / size * 1e5:8.2f} alarms per 100 kB ({alarms} in {size} bytes)")
            continue
        by_shape: dict[str, Score] = defaultdict(Score)
        for document in documents:
            by_shape[document.shape] += scored(document, find(document.text))
        totals[called] = sum(by_shape.values(), Score())
        print(f"{name:12} {called:10} {totals[called]}")
        if name == "agentguard":
            for shape, score in by_shape.items():
                print(f"{'':12}   {shape:18} {score}")
    return totals


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--misses", action="store_true", help="show what was missed in the tuning set, and false alarms"
    )
    chosen = options.parse_args()
    sets = {
        "tuned": [*labelled(chosen.seed, SOURCES), *written(chosen.seed)],
        "held-out": list(labelled(chosen.seed, HELD_OUT)),
        "clean": list(clean(chosen.seed, 4)),
    }
    if chosen.misses:
        misses([*sets["tuned"], *sets["clean"]], agentguard())
    else:
        report("agentguard", agentguard(), sets)
        for name, find in installed():
            report(name, find, sets)


if __name__ == "__main__":
    main()
