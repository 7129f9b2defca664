"""Masking as a policy describes it: what loads, what doesn't and where it says so, packs, and detectors of installed packages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentguard.config import masker_of, read_library
from agentguard.config.masking import packs, read_pack
from agentguard.errors import ConfigurationError, GuardUnavailable, PolicyError
from agentguard.masking import Finding, Masker, Page
from tests.masking.samples import IDS

ROOT = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools:
  find: {risk: low}
"""

Write = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Writes a policy whose masking section is this, from line 5 on."""

    def write(section: str) -> Path:
        (tmp_path / "policy.yaml").write_text(f"{ROOT}{section}", encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def loaded(written: Write) -> Callable[[str], Masker]:
    """The masker of such a policy."""
    return lambda section: masker_of(read_library(written(section)))


def told(folder: Path) -> str:
    """All that is said of a policy that doesn't load, without its folder."""
    with pytest.raises(PolicyError) as refused:
        read_library(folder)
    return str(refused.value).replace(f"{folder}/", "")


SECTION = """\
masking:
  thresholds: {PHONE_NUMBER: 0.9}
  packs: [brazil]
  allow: {EMAIL_ADDRESS: ["*@acme.example"]}
  deny: {PROJECT: [Blue Falcon]}
  limits: {characters: 200}
  patterns:
    ticket:
      entity: TICKET
      pattern: '\\bTCK-[0-9]{6}\\b'
      context: [ticket]
      match: ['ticket TCK-123456']
      no_match: ['TCK-123456', 'ticket TCK-12345']
  actions: {TICKET: redact, PROJECT: redact, BR_CPF: {action: mask, keep: 2}, "**.raw": drop}
"""

ENFORCED = {
    "patterns": ("ticket: TCK-123456", "ticket: [TICKET redacted]"),
    "patterns-context": ("TCK-123456", "TCK-123456"),
    "packs": ("CPF 529.982.247-25", "CPF ***25"),
    "deny": ("about blue falcon", "about [PROJECT redacted]"),
    "allow": ("ann@acme.example", "ann@acme.example"),
    "thresholds": ("202-555-0147", "202-555-0147"),
    "path": ('{"raw": "to eve@mail.example"}', '{"raw": "to "}'),
}


@pytest.mark.parametrize(("text", "shown"), ENFORCED.values(), ids=ENFORCED.keys())
def test_each_clause_is_enforced(loaded: Callable[[str], Masker], text: str, shown: str) -> None:
    """What the section says happens; without it, it doesn't."""
    assert loaded(SECTION).mask(text, IDS).value == shown
    assert text == shown or loaded("").mask(text, IDS).value != shown
    assert text != shown or text.startswith("TCK") or loaded("").mask(text, IDS).value != text


def test_limits_are_enforced(loaded: Callable[[str], Masker]) -> None:
    """Over the policy's limit a value is blocked, where the default one would let it pass."""
    with pytest.raises(GuardUnavailable, match="more than 200 characters"):
        loaded(SECTION).mask("a " * 101, IDS)
    with pytest.raises(GuardUnavailable, match="more than 3 values"):
        loaded("masking: {limits: {nodes: 3}}\n").mask([1, 2, 3, 4], IDS)
    with pytest.raises(GuardUnavailable, match="deeper than 1 levels"):
        loaded("masking: {limits: {depth: 1}}\n").mask([[1]], IDS)
    assert loaded("").mask("a " * 101, IDS).value == "a " * 101


REFUSED = {
    "re2": (
        "masking:\n  patterns:\n    t:\n      entity: T\n      pattern: 'a(?=b)'\n      match: [ab]\n",
        "policy.yaml:9:7: RE2 refuses this pattern: invalid perl operator: (?=; write it without look-around",
    ),
    "empty-match": (
        "masking:\n  patterns:\n    t: {entity: T, pattern: 'a*', match: [a]}\n",
        "policy.yaml:7:20: this pattern matches the empty text; say what must stand there",
    ),
    "checksum": (
        "masking:\n  patterns:\n    t: {entity: T, pattern: a, checksum: lun, match: [a]}\n",
        "policy.yaml:7:32: there is no checksum 'lun'; there are: aba, abn, ahv",
    ),
    "match": (
        "masking:\n  patterns:\n    t:\n      entity: T\n      pattern: '[0-9]{6}'\n      match:\n        - '123456'\n        - 'abc'\n",
        "policy.yaml:12:11: an example that must match does not: t finds nothing in it",
    ),
    "match-score": (
        "masking:\n  patterns:\n    t:\n      entity: T\n      pattern: '[0-9]{6}'\n      context: [badge]\n      match: ['123456']\n",
        "policy.yaml:11:15: an example that must match does not: t scores 0.30 in it, below 0.50; correct the pattern",
    ),
    "match-threshold": (
        "masking:\n  thresholds: {T: 0.7}\n  patterns:\n    t: {entity: T, pattern: 'ab', match: [ab]}\n",
        "t scores 0.60 in it, below 0.70",
    ),
    "no-match": (
        "masking:\n  patterns:\n    t:\n      entity: T\n      pattern: '[0-9]{6}'\n      match: ['123456']\n"
        "      no_match: ['a', '1234567']\n",
        "policy.yaml:11:23: t finds something in an example that it must not",
    ),
    "no-example": (
        "masking:\n  patterns:\n    t: {entity: T, pattern: a}\n",
        "'match' is missing in masking.patterns.t",
    ),
    "unknown-key": (
        "masking:\n  patterns:\n    t: {entity: T, pattern: a, regex: a, match: [a]}\n",
        "policy.yaml:7:32: unknown key 'regex'",
    ),
    "pack": (
        "masking: {packs: [brasil]}\n",
        "policy.yaml:5:19: there is no pack 'brasil'; there are: argentina, australia",
    ),
    "pack-twice": ("masking: {packs: [brazil, brazil]}\n", "policy.yaml:5:27: the pack 'brazil' stands here twice"),
    "detector": (
        "masking: {detectors: [acme]}\n",
        "policy.yaml:5:23: no installed packages have a detector 'acme'; install the package that has it",
    ),
    "threshold-too-high": ("masking: {thresholds: {PERSON: 0.95}}\n", "should be less than or equal to 0.9"),
    "threshold-none": ("masking: {thresholds: {PERSON: 0}}\n", "should be greater than 0"),
    "action": ("masking: {actions: {PERSON: shred}}\n", "masking.actions.PERSON"),
    "action-keep": ("masking: {actions: {PERSON: {action: mask, keep: 99}}}\n", "should be less than or equal to 12"),
    "action-key": (
        "masking: {actions: {email_address: redact}}\n",
        "'email_address' is not an entity type or a path; write such as EMAIL_ADDRESS",
    ),
    "action-by-type-without-path": (
        "masking: {actions: {PERSON: {PERSON: redact}}}\n",
        "policy.yaml:5:21: PERSON is no path, so it has one action",
    ),
    "generalise-nothing": (
        "masking: {actions: {US_SSN: generalise}}\n",
        "policy.yaml:5:21: nothing coarser is known of US_SSN; write redact; known: AGE, DATE_OF_BIRTH",
    ),
    "allow-anything": ("masking: {allow: {'*': ['*']}}\n", "policy.yaml:5:25: this value would allow nearly anything"),
    "on-both-lists": (
        "masking:\n  allow: {'*': [Blue Falcon]}\n  deny: {PROJECT: [blue falcon]}\n",
        "policy.yaml:7:20: this value is on the allow list too; take it off one of them",
    ),
    "deny-nothing": ("masking: {deny: {PROJECT: ['--']}}\n", "this value has no letter and no digit"),
    "limits": ("masking: {limits: {characters: 0}}\n", "should be greater than or equal to 1"),
}


@pytest.mark.parametrize(("section", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_what_masking_cant_do_is_a_load_error(written: Write, section: str, problem: str) -> None:
    """Each says file, line and column, what is wrong, and what to write instead."""
    assert problem in told(written(section))


def test_actions_of_a_tool_are_checked_in_their_place(written: Write) -> None:
    """A tool's own masking is held to the same rules."""
    folder = written("")
    (folder / "policy.yaml").write_text(
        ROOT.replace("{risk: low}", "{risk: low, masking: {result: {CVV: generalise}}}")
    )
    assert "policy.yaml:4:40: nothing coarser is known of CVV" in told(folder)


def test_every_pack_passes_its_examples() -> None:
    """Each shipped pack loads, each of its recognisers has both kinds of examples, and its names are its own."""
    recognisers = [recogniser for name in packs() for recogniser in read_pack(name)]
    assert len(packs()) >= 35
    assert len(recognisers) >= 80


def test_all_packs_together_find_what_each_does(loaded: Callable[[str], Masker]) -> None:
    """`all` is every pack; without any, national numbers without dashes stay text."""
    text = "PESEL 44051401359, CPF 52998224725, BSN 111222333, Aadhaar 2341 2341 2346, RSSMRA85T10A562S"
    types = {finding.entity_type for finding in loaded("masking: {packs: [all]}\n").find(text)}
    assert types == {"PL_PESEL", "BR_CPF", "NL_BSN", "IN_AADHAAR", "IT_FISCAL_CODE"}
    assert "IT_FISCAL_CODE" not in {finding.entity_type for finding in loaded("").find(text)}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with detectors, installed as pip would."""
    site = tmp_path / "site"
    its = site / "acme_detectors-1.0.dist-info"
    its.mkdir(parents=True)
    (its / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-detectors\nVersion: 1.0\n")
    (its / "entry_points.txt").write_text(
        "[agentguard.detectors]\nacme = acme_detectors:Acme\nbroken = acme_detectors:nothing\nwrong = acme_detectors:number\n"
    )
    (site / "acme_detectors.py").write_text(
        "from agentguard.masking import Finding\n"
        "class Acme:\n"
        "    name = 'acme'\n"
        "    def find(self, page):\n"
        "        if 'boom' in page.text:\n"
        "            raise RuntimeError(page.text)\n"
        "        at = page.text.find('falcon')\n"
        "        if at >= 0:\n"
        "            yield Finding(at, at + 6, 'PROJECT', 0.9, self.name)\n"
        "number = 7\n"
    )
    monkeypatch.syspath_prepend(str(site))


@pytest.mark.usefixtures("installed")
def test_a_detector_of_an_installed_package_is_used_where_policy_names_it(loaded: Callable[[str], Masker]) -> None:
    """Installing a package changes nothing by itself."""
    assert loaded("masking: {detectors: [acme]}\n").mask("a falcon", IDS).value.startswith("a [PROJECT_")
    assert loaded("").mask("a falcon", IDS).value == "a falcon"


@pytest.mark.usefixtures("installed")
def test_a_detector_that_raises_blocks_the_value(loaded: Callable[[str], Masker]) -> None:
    """Nothing passes unmasked, and the error names the detector and no value."""
    with pytest.raises(GuardUnavailable, match="detector acme failed") as blocked:
        loaded("masking: {detectors: [acme]}\n").mask("boom ann@acme.example", IDS)
    assert "ann" not in str(blocked.value)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("broken", "the detector 'broken' can't be loaded (AttributeError)"),
        ("wrong", "is no detector: it needs a name"),
    ],
)
def test_a_detector_that_does_not_load_is_a_load_error(written: Write, name: str, problem: str) -> None:
    """A policy never goes on without a detector that it names."""
    message = told(written(f"masking: {{detectors: [{name}]}}\n"))
    assert f"policy.yaml:5:23: {problem}" in message or problem in message


def test_a_detector_of_your_own_that_is_none_is_told_at_the_start(written: Write) -> None:
    """One without a name could not be named where it fails, and its error would carry the value that it failed over."""

    class Nameless:
        def find(self, page: Page) -> list[Finding]:
            raise ValueError(page.text)

    nameless: Any = Nameless()
    with pytest.raises(ConfigurationError, match="Nameless is no detector: it needs a name"):
        masker_of(read_library(written("")), [nameless])
