"""How much of which entity type went through the guard, in counts."""

from __future__ import annotations

from agentguard.audit import Entry, FindingCounts, finding_counts


def entry(kind: str, tool: str, **entities: int) -> Entry:
    """A record of the journal that counts findings."""
    return Entry(writer="w", seq=1, time_ms=1, kind=kind, body={"tool": tool, "entities": entities}, file="f", line=1)


def test_findings_are_counted_by_type_direction_and_tool() -> None:
    """Arguments are counted where the call was judged, results where it was settled; other records count nothing."""
    counts = finding_counts(
        [
            entry("judged", "send", EMAIL_ADDRESS=1),
            entry("settled", "send"),
            entry("judged", "find"),
            entry("settled", "find", PERSON=2, EMAIL_ADDRESS=1),
            entry("settled", "find", PERSON=1),
            Entry(writer="w", seq=9, time_ms=1, kind="refused", body={"tool": "find"}, file="f", line=9),
        ]
    )

    assert counts == FindingCounts(
        calls=2,
        arguments={"EMAIL_ADDRESS": 1},
        results={"EMAIL_ADDRESS": 1, "PERSON": 3},
        tools={"find": {"EMAIL_ADDRESS": 1, "PERSON": 3}, "send": {"EMAIL_ADDRESS": 1}},
    )


def test_an_empty_journal_counts_nothing() -> None:
    """No call, no finding."""
    assert finding_counts([]) == FindingCounts(calls=0, arguments={}, results={}, tools={})
