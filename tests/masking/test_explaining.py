"""What spoke for a finding, and what against it."""

from __future__ import annotations

import json

import pytest

from agentguard.masking import DEFAULT_DETECTORS, AllowList, DenyList, Masker, Recogniser, Recognisers

TICKET = Recogniser(
    name="ticket", entity_type="TICKET", pattern=r"\bTCK-[0-9]{6}\b", context=("ticket",), checksum="luhn"
)
MASKER = Masker(
    [*DEFAULT_DETECTORS, Recognisers([TICKET]), DenyList({"PROJECT": ["Blue Falcon"]})],
    actions={"EMAIL_ADDRESS": "redact"},
    thresholds={"URL": 0.9},
    allowed=AllowList({"EMAIL_ADDRESS": ["help@acme.example"]}),
    fields={"badge": "EMPLOYEE_ID"},
)


def told(text: str) -> dict[str, tuple[str, float, list[str]]]:
    """Outcome, score and evidence of what was found, by the value."""
    return {
        text[finding.start : finding.end]: (outcome, finding.score, [str(each) for each in evidence])
        for finding, outcome, evidence in MASKER.explain(text)
    }


EXPLAINED = {
    "form": ("mail ann@mail.example", "ann@mail.example", "redact", ["+ form 0.95"]),
    "word": ("we called 202-555-0147", "202-555-0147", "token", ["+ form 0.70", '+ word "called" 0.25']),
    "word-against": (
        "order id 202-555-0147",
        "202-555-0147",
        "in clear: 0.50 is needed",
        ["+ form 0.70", '- word "id" 0.30', '- word "order" 0.30'],
    ),
    "checksum": (
        "card 4111 1111 1111 1112",
        "4111 1111 1111 1112",
        "token",
        ["+ form 0.30", '+ word "card" 0.30', "- checksum luhn fails"],
    ),
    "checksum-holds": (
        "4111 1111 1111 1111",
        "4111 1111 1111 1111",
        "token",
        ["+ form 0.90", "+ checksum luhn holds"],
    ),
    "only-by-word": ("born on 12 March 1980", "12 March 1980", "token", ["+ form", '+ word "born" 0.95']),
    "field": ('{"full_name": "Anna Kowalska"}', "Anna Kowalska", "token", ["+ its field `full name` 0.90"]),
    "field-of-policy": ('{"badge": "B-77"}', "B-77", "token", ["+ masking.fields names its field 0.90"]),
    "field-checksum": (
        '{"iban": "DE88370400440532013000"}',
        "DE88370400440532013000",
        "token",
        ["+ its field `iban` 0.90", "- checksum iban fails"],
    ),
    "pattern": (
        "ticket TCK-123455",
        "TCK-123455",
        "token",
        ["+ form 0.65", '+ word "ticket" 0.33', "+ checksum luhn holds"],
    ),
    "pattern-key": (
        '{"ticket_ref": "TCK-123455"}',
        "TCK-123455",
        "token",
        ["+ form 0.65", "+ key `ticket ref` 0.33", "+ checksum luhn holds"],
    ),
    "deny": ("on blue falcon", "blue falcon", "token", ["+ on the deny list 1.00"]),
    "allow": ("help@acme.example", "help@acme.example", "in clear: on the allow list", ["+ form 0.95"]),
}


@pytest.mark.parametrize(("text", "value", "outcome", "evidence"), EXPLAINED.values(), ids=EXPLAINED.keys())
def test_each_finding_is_explained(text: str, value: str, outcome: str, evidence: list[str]) -> None:
    """What the form is worth, which key and words changed it, and whether the checksum holds."""
    shown, _, said = told(text)[value]
    assert (shown, said) == (outcome, evidence)


def test_a_known_value_is_explained() -> None:
    """A name in prose that a field named before."""
    text = json.dumps({"full_name": "Anna Kowalska", "note": "for Anna Kowalska"})
    assert [str(each) for _, _, evidence in MASKER.explain(text) for each in evidence] == [
        "+ its field `full name` 0.90",
        "+ seen under a personal field 0.85",
    ]


def test_what_is_masked_is_what_is_explained() -> None:
    """The findings that have an action are those of `find`."""
    text = "Ann, ann@mail.example, 202-555-0147, order id 202-555-0148, TCK-1, help@acme.example, DOB 29/02/1980"
    masked = [finding for finding, outcome, _ in MASKER.explain(text) if not outcome.startswith("in clear")]
    assert masked == MASKER.find(text)


def test_an_explanation_names_no_word_of_a_value() -> None:
    """Words that stand in a finding are left out, whatever they do to another one."""
    text = '{"full_name": "Tel Phone", "note": "Tel Phone 202-555-0147"}'
    words = " ".join(str(each) for _, _, evidence in MASKER.explain(text) for each in evidence)
    assert "tel" not in words.lower()


@pytest.mark.parametrize(
    ("thresholds", "stays"),
    [
        pytest.param({}, False, id="none said"),
        pytest.param({"*": 0.75}, True, id="for every type"),
        pytest.param({"*": 0.65}, False, id="for every type, low enough"),
        pytest.param({"*": 0.75, "PHONE_NUMBER": 0.65}, False, id="its own counts more"),
        pytest.param({"*": 0.65, "PHONE_NUMBER": 0.75}, True, id="its own counts more, where it is higher"),
    ],
)
def test_a_threshold_counts_for_finding_and_explaining_alike(thresholds: dict[str, float], stays: bool) -> None:
    """A number of the form of a phone, with no word beside it, has 0.70."""
    # given
    masker = Masker(thresholds=thresholds)
    text = "202-555-0147"

    # when
    ((finding, outcome, _),) = masker.explain(text)

    # then
    assert finding.score == 0.7
    assert masker.find(text) == ([] if stays else [finding])
    assert outcome == (
        f"in clear: {thresholds.get('PHONE_NUMBER', thresholds.get('*', 0))} is needed" if stays else "token"
    )
