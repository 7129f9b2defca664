"""Files that a policy takes in: each once, from where it may come, and never in place of what is stricter without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agentguard.config import policy_library, read_library
from agentguard.errors import PolicyError
from agentguard.policy import NotUsable, Policy, Source, load, with_used
from tests.policy.policies import ROOT, judge, source, spoke


def among(**files: str) -> Callable[[str, Source], Source]:
    """A finder over these files, by name."""

    def find(entry: str, _user: Source) -> Source:
        name = entry.removesuffix(".yaml")
        if name not in files:
            raise NotUsable(f"there is no {entry!r}", "write another")
        return source("version: 1\n" + files[name], entry)

    return find


def loaded(root: str, **used: str) -> Policy:
    return load(with_used([source(ROOT + root)], among(**used)))


def problems(root: str, **used: str) -> str:
    with pytest.raises(PolicyError) as caught:
        loaded(root, **used)
    return str(caught.value)


def test_tools_and_rules_of_a_used_file_count() -> None:
    """What is taken in speaks like what stands in the file itself, from the place where it stands."""
    judged = loaded(
        "use: [mail.yaml]\ntools: {'*': high}",
        mail="tools: {send: low}\nrules: [{id: r, tools: [send], when: args.n > 1, deny: true}]",
    )

    verdict = judge(judged, "send", {"n": 2})

    assert spoke(verdict) == ["send", "r"]
    assert verdict.effect == "deny"
    assert str(verdict.clauses[0].place) == "mail.yaml:2:9"


def test_files_use_files_and_each_counts_once() -> None:
    """A file that is reached on two ways is one file."""
    judged = loaded("use: [a.yaml, b.yaml]", a="use: [c.yaml]", b="use: [c.yaml]", c="tools: {send: low}")

    assert list(judged.document.tools) == ["send"]


def test_order_of_used_files_makes_no_difference() -> None:
    """The same files in another order are the same policy."""
    files = {"a": "tools: {x: low}", "b": "tools: {y: high}"}

    assert (
        loaded("use: [a.yaml, b.yaml]", **files).version
        == loaded("use: [b.yaml, a.yaml]", **files).version
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "used", "told"),
    [
        ("use: [x.yaml]", {}, "policy.yaml:12:7: there is no 'x.yaml'; write another"),
        ("use: [a.yaml]", {"a": "use: [b.yaml]", "b": "use: [a.yaml]"}, "b.yaml:2:7: files take each other in: a.yaml -> b.yaml -> a.yaml"),
        ("use: [a.yaml]", {"a": "use: [a.yaml]"}, "a.yaml:2:7: files take each other in: a.yaml -> a.yaml"),
        ("use: [/etc/a.yaml]", {}, "policy.yaml:12:7: there is no '/etc/a.yaml'"),
        ("use: a.yaml", {"a": "tools: {}"}, "policy.yaml:12:6: use: should be a list"),
        ("use: [a.txt]", {"a.txt": "tools: {}"}, "policy.yaml:12:7: use.0: 'a.txt' is not a policy to take in"),
        ("use: ['library:../a']", {"library:../a": ""}, "use.0: 'library:../a' is not a policy to take in"),
        ("use: [a.yaml]", {"a": "risk: {low: allow}"}, "a.yaml:2:1: risk stands outside the root"),
        ("use: [a.yaml]", {"a": "tools: {x: lowest}"}, "a.yaml:2:12: tools.x: should be 'low'"),
        ("use: [a.yaml]", {"a": "rules: [{id: r, tools: [x], ask: nobody}]"}, "a.yaml:2:29: no approval 'nobody' is defined"),
    ],
)  # fmt: skip
def test_what_cant_be_taken_in_is_told_with_its_place(written: str, used: dict[str, str], told: str) -> None:
    """A missing file, a circle, a wrong form: file, line and column of what is wrong."""
    assert told in problems(written, **used)


@pytest.mark.parametrize(
    ("own", "used"),
    [
        ("x: high", "x: low"),
        ("x: low", "x: high"),
        ("x: low", "'x*': medium"),
        ("'x_y*': low", "'x*': medium"),
        ("x: {risk: high, ask: confirm}", "'x*': high"),
        ("x: high", "'x*': {risk: high, deny: true}"),
        ("x: high", "'x*': {risk: high, ask: board}"),
        ("x: {risk: high, labels: []}", "'x*': high"),
        ("x: high", "'x*': {risk: high, params: {url: [u]}}"),
        ("x: {risk: high, reveal: {to: [PERSON]}}", "'x*': high"),
        ("x: high", "'x*': {risk: high, once: args.id}"),
        ("x: {risk: high, masking: {result: {'*': allow}}}", "'x*': high"),
        ("x: high", "'x*': {risk: high, masking: {result: {'*': redact}}}"),
    ],
)
def test_t20_a_used_tool_is_not_made_laxer_without_a_word(own: str, used: str) -> None:
    """An entry that takes away from what was taken in is a load error, and loads with `override: true` in policy.yaml."""
    pattern, _, entry = own.partition(": ")
    said = entry[1:-1] if entry.startswith("{") else f"risk: {entry}"

    told = problems(f"use: [a.yaml]\ntools: {{{own}}}", a=f"tools: {{{used}}}")
    judged = loaded(f"use: [a.yaml]\ntools: {{{pattern}: {{{said}, override: true}}}}", a=f"tools: {{{used}}}")

    assert "policy.yaml:13:9: " in told or "a.yaml:2:9: " in told
    assert "defined twice" in told or "override: true" in told
    assert pattern.strip("'") in judged.document.tools


@pytest.mark.parametrize(
    ("own", "used"),
    [
        ("x: critical", "'x*': high"),
        ("x: {risk: low, deny: true, labels: [a, b]}", "'x*': {risk: low, labels: [a]}"),
        ("'*': low", "x: critical"),
        ("y: low", "'x*': critical"),
    ],
)
def test_an_own_entry_may_say_more_than_a_used_one(own: str, used: str) -> None:
    """What is stricter, less specific or about other tools needs no word."""
    assert loaded(f"use: [a.yaml]\ntools: {{{own}}}", a=f"tools: {{{used}}}").version


@pytest.mark.parametrize(
    ("root", "used", "told"),
    [
        ("tools: {x: {risk: low, override: true}}", "", "policy.yaml:12:24: no file that is taken in says anything of 'x'"),
        ("use: [a.yaml]", "tools: {x: {risk: low, override: true}}", "a.yaml:2:24: override stands outside the root"),
    ],
)  # fmt: skip
def test_override_stands_only_where_it_overrides(root: str, used: str, told: str) -> None:
    """The word is for policy.yaml, over something that was taken in."""
    assert told in problems(root, a=used)


def test_an_overridden_entry_is_as_if_never_written() -> None:
    """What replaces it says all, and the version is that of the policy without it."""
    replaced = loaded(
        "use: [a.yaml]\ntools: {x: {risk: low, override: true}}", a="tools: {x: {risk: high, deny: true}}"
    )

    assert judge(replaced, "x").effect == "allow"
    assert replaced.version == loaded("tools: {x: low}").version


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_folder_takes_in_the_shipped_library_and_files_elsewhere(tmp_path: Path) -> None:
    """`library:` is what the package ships; a path is relative to the file that says so."""
    (tmp_path / "p").mkdir()
    written(tmp_path, crm="version: 1\ntools: {crm_delete: critical}")
    written(tmp_path / "p", policy=ROOT + "use: [library:demo]", more="version: 1\nuse: [../crm.yaml]")

    judged = read_library(tmp_path / "p")

    assert str(judge(judged, "find_customer").clauses[0].place) == "library:demo:5:3"
    assert judge(judged, "crm_delete").risk == "critical"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("library:policy", "policy.yaml is no file of tools and rules"),
        ("./approvers.yaml", "approvers.yaml is no file of tools and rules"),
        ("./more.cases.yaml", "more.cases.yaml is no file of tools and rules"),
        ("./none.yaml", "there is no './none.yaml'; write a path relative to"),
        ("library:none", "there is no 'library:none'; there are: "),
    ],
)
def test_only_files_of_tools_and_rules_are_taken_in(tmp_path: Path, entry: str, told: str) -> None:
    """A root, people and cases are none, and a name that is not there lists those that are."""
    written(tmp_path, policy=ROOT + f"use: ['{entry}']")

    with pytest.raises(PolicyError, match=r"policy\.yaml:12:7: ") as caught:
        read_library(tmp_path)

    assert told in str(caught.value)


def test_a_file_of_the_folder_that_is_used_too_stays_its_own(tmp_path: Path) -> None:
    """It is loaded once."""
    written(tmp_path, policy=ROOT + "use: [./more.yaml]", more="version: 1\ntools: {x: low}")

    assert list(read_library(tmp_path).document.tools) == ["x"]


def test_a_copy_of_a_shipped_file_in_the_folder_is_that_file(tmp_path: Path) -> None:
    """The whole library can be copied into a folder, though its files take each other in; one that was changed is another file."""
    shipped = policy_library()
    for name in ("policy.yaml", "agentguard.yaml", "shell.yaml"):
        (tmp_path / name).write_bytes((shipped / name).read_bytes())

    assert read_library(tmp_path).version

    (tmp_path / "agentguard.yaml").write_text((shipped / "agentguard.yaml").read_text() + "# mine\n")
    with pytest.raises(PolicyError, match="'own-guard' is defined twice"):
        read_library(tmp_path)
