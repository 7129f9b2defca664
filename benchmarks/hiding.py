"""How many hidden values are found, and what looking for them costs.

    .venv/bin/python -m benchmarks.hiding [--documents N]

Nineteen ways to write an e-mail address, a social security number and a card so that a plain pattern misses them; each stands in a
sentence, and counts where the finding covers all of it. Then the same clean and labelled documents, searched with views and
without them, in turns: the ratio of medians, and the alarms on the clean ones with views and without.
"""

from __future__ import annotations

import argparse
import base64
import quopri
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar
from unittest import mock
from urllib.parse import quote

from agentguard.masking import Masker, sheet
from benchmarks.tool_results.clean import clean
from benchmarks.tool_results.labelled import labelled
from benchmarks.tool_results.records import SOURCES

T = TypeVar("T")
VALUES = {"email": "ann.lee@acme.example", "ssn": "536-22-1234", "card": "4111 1111 1111 1111"}


def _shifted(text: str, first: str, to: int) -> str:
    return "".join(chr(to + ord(c) - ord(first)) if "!" <= c <= "~" else c for c in text)


def _digits(text: str, zero: int) -> str:
    return "".join(chr(zero + int(c)) if c.isdigit() else c for c in text)


def _spelled(text: str) -> str:
    for mark, word in {" ": "space", "@": "at", ".": "dot", "-": "dash"}.items():
        text = text.replace(mark, f"[{word}]") if mark != "." else text.replace(mark, " (dot) ")
    return text


def _marks(text: str) -> str:
    return f"{text[:2]}**{text[2:6]}**{text[6:]}"


def _homoglyphs(text: str) -> str:
    return text.translate(str.maketrans({"a": "\u0430", "e": "\u0435", "o": "\u043e", "-": "\u2010", " ": "\u2009"}))


def _quoted(text: str) -> str:
    escaped = quopri.encodestring(text.encode(), quotetabs=True).decode()
    return escaped.replace("@", "=40").replace("-", "=2D").replace("e", "e=\n", 1)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "zero-width": "\u200b".join,
    "soft hyphen": "\u00ad".join,
    "no-break spaces": lambda text: text.replace(" ", "\u00a0").replace("-", "\u2011").replace(".", ".\u2060"),
    "full-width": lambda text: _shifted(text, "!", 0xFF01),
    "Arabic-Indic digits": lambda text: _digits(text, 0x660) if any(map(str.isdigit, text)) else text.replace("@", "\ufe6b"),
    "homoglyphs": _homoglyphs,
    "bidirectional marks": lambda text: "\u202e" + "\u2066".join(text) + "\u202c",
    "tags": lambda text: "".join(chr(0xE0000 + ord(c)) for c in text),
    "percent": lambda text: "".join(f"%{ord(c):02x}" for c in text),
    "percent twice": lambda text: quote(quote(text, safe=""), safe="").replace("-", "%252D"),
    "unicode escapes": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "entities in hex": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "at and dot": _spelled,
    "markdown": _marks,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64url twice": lambda text: base64.urlsafe_b64encode(base64.urlsafe_b64encode(text.encode())).decode().rstrip("="),
    "hex": lambda text: text.encode().hex(),
    "quoted-printable": _quoted,
}  # fmt: skip


def found(masker: Masker) -> dict[str, list[str]]:
    """The values that are found whole, by encoding."""
    result = {}
    for name, hide in ENCODINGS.items():
        result[name] = []
        for kind, value in VALUES.items():
            hidden = hide(value)
            text = f"Please write {hidden} down, and ask again"
            start, end = text.index(hidden), text.index(hidden) + len(hidden)
            spans = [(finding.start, finding.end) for finding in masker.find(text)]
            bare = sum(not c.isspace() and ord(c) not in (0x202C, 0x202E) for c in hidden)
            covered = sum(
                not text[at].isspace() and ord(text[at]) not in (0x202C, 0x202E)
                for at in range(start, end)
                if any(left <= at < right for left, right in spans)
            )
            if covered == bare:
                result[name].append(kind)
    return result


def without_views(work: Callable[[], T]) -> T:
    """What some work gives while no text is read in another way than it is written."""
    off = {"encoded_words": lambda *_: (), "readings": lambda _: (), "tagged": lambda _: ()}
    with mock.patch.multiple(sheet, may_need_view=lambda _: False, **off):
        return work()


def seconds(masker: Masker, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    for text in texts:
        masker.find(text)
    return time.perf_counter() - started


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--documents", type=int, default=2, help="rounds of each kind")
    chosen = options.parse_args()
    masker = Masker()
    total = 0
    for name, kinds in found(masker).items():
        total += len(kinds)
        print(f"{name:22} {', '.join(kinds) or '-'}")
    print(f"found: {total} of {len(ENCODINGS) * len(VALUES)} (goal 51)")
    plain = [document.text for document in clean(1, chosen.documents)]
    texts = plain + [document.text for document in labelled(1, SOURCES[:8], 1)]
    ratios = []
    for _ in range(7):
        viewed = seconds(masker, texts)
        ratios.append(without_views(lambda: seconds(masker, texts)) / viewed)

    def alarms() -> int:
        return sum(len(masker.find(text)) for text in plain)

    print(f"throughput with views over without: {statistics.median(ratios):.2f} (goal at least 0.65)")
    print(f"alarms on clean text: {alarms()} with views, {without_views(alarms)} without")


if __name__ == "__main__":
    main()
