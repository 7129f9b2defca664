"""How fast the default detectors search text that they never saw, beside one bare pass of an RE2 Set over the same bytes.

    .venv/bin/python -m benchmarks.masking_speed [--documents N] [--profile]

Documents of 64 kB are put together from tool results: labelled ones, prose and clean ones, shuffled, with one finding in 300 bytes, as in
the recorded results of AgentDojo (315), and once more three times as dense. Both sides are warmed on documents of another seed, then
each document is searched once: a text that is searched again is found in caches, and says nothing. Time is that of the thread, so
that others on the machine count less.

The bare pass is one `Set.Match` with the forms of the same detectors (without look-around, which RE2 has not): it tells which forms
stand somewhere in the text, not where, whose, or whether a checksum holds.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from statistics import median
from typing import Any

import re2

from agentguard.masking import DEFAULT_DETECTORS, Masker
from agentguard.masking.recognisers import Recogniser, Recognisers
from benchmarks.peers import installed
from benchmarks.stage import MASKING
from benchmarks.tool_results.clean import clean
from benchmarks.tool_results.labelled import labelled, written
from benchmarks.tool_results.records import SOURCES

SIZE = 64 * 1024
SIZES = (16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024, 5 * 1024 * 1024)
GOAL_OF_FLOOR, GOAL_OF_PLAIN = 2.5, 10.0
WARM_SEED, SEED = 77, 1234
TYPICAL, DENSE = 60, 8  # how many sets of clean results go with one of labelled ones
CUSTOM = (0, 50, 100, 200)

FORMS: dict[str, tuple[str, ...]] = {
    "email": (r"[A-Za-z0-9.!#$%*+^_}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}",),
    "phone": (
        r"(?:\+?1[ .-]?)?\(?[2-9][0-9]{2}\)?[ .-]?[2-9][0-9]{2}[ .-]?[0-9]{4}",
        r"(?:\+|00)[1-9][0-9]{0,2}(?:[ .()/-]{0,2}[0-9]){6,12}",
        r"0[1-9][0-9]{1,4}[ /-][0-9 -]{5,9}[0-9]",
    ),
    "cards": (
        r"[0-9]{4}[ .-][0-9]{4}[ .-][0-9]{4}[ .-][0-9]{1,7}",
        r"3[0-9]{3}[ .-][0-9]{6}[ .-][0-9]{4,5}",
        r"[0-9]{12,19}",
    ),
    "iban": (r"[A-Z]{2}[0-9]{2}(?:[ -]?[0-9A-Z]{4}){2,7}[ -]?[0-9A-Z]{1,4}",),
    "us_numbers": (r"[0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4}",),
    "ip": (r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", r"(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}"),
    "mac": (r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}",),
    "url_login": (r"://[^\s/@:\"'<>]{0,128}:[^\s/@\"'<>]{1,256}@",),
    "crypto": (r"[13][1-9A-HJ-NP-Za-km-z]{25,34}", r"bc1[0-9a-z]{25,87}", r"0x[0-9A-Fa-f]{40}"),
    "service_keys": (
        r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",
        r"gh[pousr]_[0-9A-Za-z]{30,255}",
        r"github_pat_[0-9A-Za-z_]{40,255}",
        r"gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[0-9A-Za-z_\-]{20,255}",
        r"xox[abeoprs]-[0-9A-Za-z\-]{10,255}",
        r"(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,255}",
        r"sk-[0-9A-Za-z_\-]{20,255}",
        r"npm_[0-9A-Za-z]{30,50}",
        r"pypi-[0-9A-Za-z_\-]{40,255}",
        r"SG\.[0-9A-Za-z_\-]{16,30}\.[0-9A-Za-z_\-]{16,60}",
        r"AIza[0-9A-Za-z_\-]{35}",
        r"(?:AC|SK)[0-9a-f]{32}",
    ),
    "jwt": (r"eyJ[0-9A-Za-z_\-]{8,}\.[0-9A-Za-z_\-]{8,}\.[0-9A-Za-z_\-]*",),
    "private_key": (r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY",),
}
"""What each default detector looks for, by the detector's name."""

_PLAIN = (
    "the parcel was left with a neighbour on the second floor because nobody opened, and the courier wrote a note about it; "
    "please tell the warehouse that the lamp is back in stock and that the next batch needs new labels before it leaves."
).split()

Search = Callable[[str], object]


def documents(seed: int, count: int, size: int = SIZE, clean_sets: int = TYPICAL) -> Iterator[str]:
    """Texts of `size` characters; the more clean results, the fewer findings."""
    random = Random(seed)
    while count:
        its = random.randrange(10**9)
        parts = [document.text for document in (*labelled(its, SOURCES), *written(its, 20), *clean(its, clean_sets))]
        random.shuffle(parts)
        joined = "\n".join(parts)
        for start in range(0, len(joined) - size + 1, size):
            if count:
                count -= 1
                yield joined[start : start + size]


def long_text(size: int) -> str:
    """One text of any size."""
    return "\n".join(documents(SEED + size, -(-size // SIZE)))[:size]


def plain(seed: int, size: int = SIZE) -> str:
    """Prose in which no detector has anything to look at."""
    random = Random(seed)
    return " ".join(random.choice(_PLAIN) for _ in range(size // 4))[:size]


def bare_set() -> Search:
    """One pass with all forms."""
    forms = re2.Set.SearchSet()
    for several in FORMS.values():
        for form in several:
            forms.Add(form)
    forms.Compile()
    return lambda text: forms.Match(text.encode())


def custom(count: int) -> Masker:
    """The default detectors and so many patterns of an operator's own: half with words in them, half of shapes alone."""
    random = Random(count)
    recognisers = [
        Recogniser(name=f"own-{number}", entity_type="OWN_ID", pattern=_own(random, number)) for number in range(count)
    ]
    return Masker((*DEFAULT_DETECTORS, Recognisers(recognisers)) if count else None)


def _own(random: Random, number: int) -> str:
    word = "".join(random.choice("ABCDEFGHKLMNPQRSTUVWXYZ") for _ in range(3))
    return (
        rf"\b{word}-[0-9]{{6,8}}\b",
        rf"\b[A-Z]{{2}}{random.randrange(10, 100)}[0-9]{{5,7}}\b",
        rf"(?i)\b{word} (?:no|number|ref)\.? ?[0-9]{{4,9}}\b",
        rf"\b[0-9]{{3}}/{random.randrange(100, 1000)}/[0-9]{{4}}[A-Z]\b",
    )[number % 4]


def per_byte(search: Search, texts: Sequence[str]) -> list[float]:
    """Seconds per byte for each text, each searched once."""
    taken = []
    for text in texts:
        size = len(text.encode())
        started = time.thread_time()
        search(text)
        taken.append((time.thread_time() - started) / size)
    return taken


def in_turns(one: Search, other: Search, texts: Sequence[str]) -> tuple[list[float], list[float]]:
    """Seconds per byte of both on each text, each of them first on every second one: who comes second finds warm caches."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number, text in enumerate(texts):
        for at, search in ((0, one), (1, other)) if number % 2 else ((1, other), (0, one)):
            taken[at].extend(per_byte(search, [text]))
    return taken


def ratios(mine: Sequence[float], its: Sequence[float]) -> str:
    """The median of the ratios, and their quartiles."""
    each = sorted(a / b for a, b in zip(mine, its, strict=True))
    return f"{median(each):.2f} (quartiles {each[len(each) // 4]:.2f} to {each[3 * len(each) // 4]:.2f})"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--documents", type=int, default=20)
    options.add_argument("--profile", action="store_true", help="print where the time goes")
    chosen = options.parse_args()
    masker, bare = Masker(), bare_set()
    find: Search = masker.find
    texts = list(documents(SEED, chosen.documents))
    warm = list(documents(WARM_SEED, chosen.documents // 2))
    per_byte(find, warm)
    per_byte(bare, warm)
    floor, ours = per_byte(bare, texts), per_byte(find, texts)
    findings = sum(len(masker.find(text)) for text in texts)
    size = sum(len(text.encode()) for text in texts)
    print(
        f"{len(texts)} documents of 64 kB, each seen once; one finding per {size // findings} bytes; masking: {MASKING}"
    )
    print(f"default detectors over one bare RE2 Set pass: {ratios(ours, floor)}; goal {GOAL_OF_FLOOR}")
    for name, search in installed():
        if name in ("cpex (Rust)", "langchain"):
            per_byte(search, warm[:2])
            print(f"  {name} over the same pass: {ratios(per_byte(search, texts), floor)}")
    dense = list(documents(SEED, chosen.documents, clean_sets=DENSE))
    print(f"  three times as dense: {ratios(per_byte(find, dense), per_byte(bare, dense))}")
    for count in CUSTOM[1:]:
        own = custom(count).find
        per_byte(own, warm[:4])
        print(
            f"with {count} patterns of an operator's own, over without: {ratios(*in_turns(own, find, texts))}; goal below 2"
        )
    empty = [plain(number) for number in range(len(texts))]
    print(f"with candidates over without: {ratios(ours, per_byte(find, empty))}; goal at least {GOAL_OF_PLAIN:.0f}")
    by_size = {length: median(per_byte(find, [long_text(length)])) for length in SIZES}
    typical = median(ours)
    grown = ", ".join(f"{length // 1024} kB {taken / typical:.2f}" for length, taken in by_size.items())
    print(f"time per byte by size, over that of 64 kB: {grown}")
    if chosen.profile:
        profiled(masker, texts)
    return 0


def profiled(masker: Masker, texts: Sequence[str]) -> None:
    """Where the time goes, by function."""
    profile = cProfile.Profile()
    profile.enable()
    for text in texts:
        masker.find(text)
    profile.disable()
    stats: Any = pstats.Stats(profile, stream=sys.stdout)
    stats.sort_stats("tottime").print_stats(30)
    stats.sort_stats("cumtime").print_stats(45)


if __name__ == "__main__":
    sys.exit(main())
