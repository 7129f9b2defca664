"""What came of cases, as JUnit XML: what CI servers read."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from agentguard.masking import visible
from agentguard.policy import CaseResult


def junit(results: Sequence[CaseResult]) -> ElementTree[Element]:
    """One suite a file, one test case a case; what differs stands in its failure."""
    root = Element("testsuites", _counts(results))
    for file in dict.fromkeys(result.place.file for result in results):
        mine = [result for result in results if result.place.file == file]
        suite = SubElement(root, "testsuite", {"name": visible(file), **_counts(mine)})
        for result in mine:
            _case(suite, result)
    indent(root)
    return ElementTree(root)


def _case(suite: Element, result: CaseResult) -> None:
    place = {"file": visible(result.place.file), "line": str(result.place.line)}
    case = SubElement(
        suite, "testcase", {"classname": visible(result.place.file), "name": visible(result.name), "time": "0", **place}
    )
    if result.wrong:
        told = visible("; ".join(result.wrong))
        SubElement(case, "failure", {"message": told}).text = f"{result.place}: {told}"


def _counts(results: Sequence[CaseResult]) -> dict[str, str]:
    failed = sum(bool(result.wrong) for result in results)
    return {"tests": str(len(results)), "failures": str(failed), "errors": "0", "skipped": "0"}
