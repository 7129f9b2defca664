"""The figures of docs/masking-figures.md, measured in one run, and their plot.

    .venv/bin/python -m benchmarks.masking_figures [--seed N] [--documents N]

Writes docs/masking-figures.md, and docs/masking-figures.svg where matplotlib is installed. The peers that are installed stand beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from agentguard.masking import Masker
from benchmarks import known_values, masking_speed
from benchmarks.masking_results import agentguard, scored
from benchmarks.peers import Find, installed
from benchmarks.tool_results.clean import clean
from benchmarks.tool_results.held_out import HELD_OUT
from benchmarks.tool_results.labelled import labelled
from benchmarks.tool_results.planted import Document

DOCS = Path(__file__).parent.parent / "docs"
SIZES = (1024, 4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024)


class Row(NamedTuple):
    """One finder: share of personal characters that it leaves, false alarms per 100 kB, and kB a millisecond on documents of 64 kB."""

    name: str
    leak: float
    alarms: float
    speed: float


def rows(seed: int, documents: int) -> list[Row]:
    """This library and the peers that are installed, on the same texts."""
    results, nobody = list(labelled(seed, HELD_OUT)), list(clean(seed, 4))
    texts = list(masking_speed.documents(seed, documents))
    return [row(name, find, results, nobody, texts) for name, find in [("agentguard", agentguard()), *installed()]]


def row(name: str, find: Find, results: Sequence[Document], nobody: Sequence[Document], texts: Sequence[str]) -> Row:
    """The figures of one finder."""
    scores = [scored(document, find(document.text)) for document in results]
    leak = sum(one.leaked for one in scores) / sum(one.personal for one in scores)
    alarms = sum(len(find(document.text)) for document in nobody)
    size = sum(len(document.text.encode()) for document in nobody)
    return Row(name, leak, alarms / size * 1e5, kb_per_ms(find, texts))


def kb_per_ms(find: masking_speed.Search, texts: Sequence[str]) -> float:
    """The median over texts, each searched once."""
    return 1e-6 / median(masking_speed.per_byte(find, texts))


def by_size(seed: int) -> list[tuple[int, float]]:
    """Throughput by the size of a text."""
    find = Masker().find
    kb_per_ms(find, list(masking_speed.documents(seed + 1, 4)))
    return [
        (size, kb_per_ms(find, list(masking_speed.documents(seed + size, max(3, 40_000 // size), size))))
        for size in SIZES
    ]


def by_patterns(seed: int, documents: int) -> list[tuple[int, float]]:
    """Throughput by the number of an operator's own patterns."""
    texts = list(masking_speed.documents(seed + 2, documents))
    plain, found = Masker().find, []
    for count in masking_speed.CUSTOM:
        own, without = masking_speed.in_turns(masking_speed.custom(count).find, plain, texts)
        found.append((count, median(a / b for a, b in zip(without, own, strict=True))))
    return found


def page(
    table: Sequence[Row],
    known: known_values.Measured,
    sizes: Sequence[tuple[int, float]],
    patterns: Sequence[tuple[int, float]],
    seed: int,
) -> str:
    """The page."""
    lines = [
        "# Masking: accuracy, false alarms, speed",
        "",
        "Written by `python -m benchmarks.masking_figures`, all in one run on one machine; compare figures of one run only. The tool",
        f"results are generated ([benchmarks](../benchmarks/README.md)), from the held-out sources, with seed {seed}. No language model",
        "anywhere.",
        "",
        "The peers have their default settings, of findings that overlap the first counts, and most of what they leave are names and",
        "addresses, which in a tool's result show only in the name of the field.",
        "",
        "| | personal characters left | false alarms per 100 kB | kB per ms, 64 kB texts |",
        "|---|---|---|---|",
        *(f"| {one.name} | {one.leak:.1%} | {one.alarms:.1f} | {one.speed:.2f} |" for one in table),
        "",
        f"Names seen under fields before, in later prose: recall {known.recall:.3f} of {known.asked.total()} mentions, "
        f"{known.per_100_kb:.2f} false alarms per 100 kB of prose about something else.",
        "",
        "| size of the text | kB per ms |",
        "|---|---|",
        *(f"| {size // 1024} kB | {speed:.2f} |" for size, speed in sizes),
        "",
        "| patterns of an operator's own | throughput, of that without |",
        "|---|---|",
        *(f"| {count} | {share:.2f} |" for count, share in patterns),
        "",
        "![The same figures as a plot](masking-figures.svg)",
        "",
    ]
    return "\n".join(lines)


def plot(
    table: Sequence[Row], sizes: Sequence[tuple[int, float]], patterns: Sequence[tuple[int, float]], path: Path
) -> None:
    """Four panels: what is left, false alarms, throughput by size and by number of patterns."""
    from matplotlib import pyplot  # noqa: PLC0415 - slow to import, and only wanted for a plot

    pyplot.rcParams["svg.hashsalt"] = "agentguard"
    figure, panels = pyplot.subplots(2, 2, figsize=(10, 6.4), layout="constrained")
    names = [one.name for one in table]
    colours = ["#1b7f5c" if name == "agentguard" else "#9aa5b1" for name in names]
    _bars(panels[0][0], names, [one.leak * 100 for one in table], colours, "personal characters left, %")
    _bars(panels[0][1], names, [one.alarms for one in table], colours, "false alarms per 100 kB of clean results")
    _line(
        panels[1][0],
        [size / 1024 for size, _ in sizes],
        [speed for _, speed in sizes],
        "size of the text, kB",
        "kB per ms",
    )
    panels[1][0].set_xscale("log", base=2)
    panels[1][0].set_xticks([size / 1024 for size, _ in sizes], [f"{size // 1024}" for size, _ in sizes])
    _line(
        panels[1][1],
        [count for count, _ in patterns],
        [share for _, share in patterns],
        "patterns of an operator's own",
        "throughput, of that without",
    )
    figure.savefig(path, metadata={"Date": None})


def _bars(panel: Any, names: Sequence[str], values: Sequence[float], colours: Sequence[str], title: str) -> None:
    drawn = panel.barh(names, values, color=colours)
    panel.bar_label(drawn, fmt="%.1f", padding=3)
    panel.margins(x=0.15)
    panel.invert_yaxis()
    panel.set_title(title, fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)


def _line(panel: Any, across: Sequence[float], up: Sequence[float], label: str, title: str) -> None:
    panel.plot(across, up, marker="o", color="#1b7f5c")
    panel.set_ylim(0, max(up) * 1.15)
    panel.set_xlabel(label)
    panel.set_title(title, fontsize=10)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--seed", type=int, default=20261)
    options.add_argument("--documents", type=int, default=12)
    chosen = options.parse_args()
    table = rows(chosen.seed, chosen.documents)
    known = known_values.measured(chosen.seed, 60)
    sizes, patterns = by_size(chosen.seed), by_patterns(chosen.seed, chosen.documents)
    written = page(table, known, sizes, patterns, chosen.seed)
    (DOCS / "masking-figures.md").write_text(written, encoding="utf-8")
    print(written)
    try:
        plot(table, sizes, patterns, DOCS / "masking-figures.svg")
    except ImportError:
        print("matplotlib is not installed: no plot")
    return 0


if __name__ == "__main__":
    sys.exit(main())
