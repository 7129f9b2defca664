"""Bad input of every size: a clear answer in bounded time. The bounds are ten times what it takes on a busy small machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentguard.config import policy_warnings, read_library, read_policies
from agentguard.errors import ConfigurationError, PolicyError
from agentguard.policy import Source, compare, load

BASE = "version: 1\nrisk: {low: allow, medium: allow, high: deny, critical: deny}\n"
TOOLS = "tools: {" + ", ".join(f'"tool_{number}_*": low' for number in range(300)) + "}\n"


def rules(count: int, condition: str = "") -> list[Source]:
    """Policies with so many rules over 300 patterns, in files below the largest size."""
    parts = [range(start, min(count, start + 4000)) for start in range(0, count, 4000)]
    texts = [
        "".join(
            f'  - {{id: r{n}, tools: ["tool_{n % 300}_*"], {condition % n if condition else ""}risk: medium}}\n'
            for n in part
        )
        for part in parts
    ]
    files = [Source(file=f"r{number}.yaml", text="version: 1\nrules:\n" + text) for number, text in enumerate(texts)]
    return [Source(file="policy.yaml", text=BASE + TOOLS), *files]


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def problems(text: str) -> str:
    """What is said of a policy that does not load."""
    with pytest.raises(PolicyError) as refused:
        load([Source(file="policy.yaml", text=text)])
    return str(refused.value)


@pytest.mark.parametrize("read", [read_policies, read_library])
@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param([], "no policy in it; `agentguard init", id="empty"),
        pytest.param(["a.cases.yaml", "approvers.yaml", "notes.txt"], "no policy in it", id="no policy among others"),
        pytest.param(["more.yaml"], "one root is needed, and there is none", id="no root"),
    ],
)
def test_a_folder_without_a_policy_says_what_to_do(
    tmp_path: Path, read: Callable[[Path], object], files: list[str], told: str
) -> None:
    """Never a policy that allows all, nor a stack trace."""
    for name in files:
        (tmp_path / name).write_text(
            "version: 1\ntools: {a: low}\n" if name == "more.yaml" else "people: {a: {email: a@b.example}}\n"
        )
    with pytest.raises(ConfigurationError, match=told):
        read(tmp_path)


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "it is no file"),
    "endless device": (lambda path: path.symlink_to("/dev/zero"), "it is no file"),
    "folder": (Path.mkdir, r"can't be read \(IsADirectoryError\)"),
    "link to itself": (lambda path: path.symlink_to(path.name), "can't be read"),
    "link to nothing": (lambda path: path.symlink_to("nowhere"), r"can't be read \(FileNotFoundError\)"),
}


@pytest.mark.parametrize("name", ["policy.yaml", "more.yaml", "tools.lock.json", "approvers.yaml"])
@pytest.mark.parametrize(("make", "told"), NO_FILES.values(), ids=NO_FILES.keys())
def test_t20_what_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, name: str, make: Callable[[Path], object], told: str
) -> None:
    """In any place of a policy: nothing hangs, fills the memory, or is passed over as if it were not there."""
    (tmp_path / "policy.yaml").write_text(BASE + "tools: {a: low}\n")
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    with pytest.raises(ConfigurationError, match=f"{name}: {told}"):
        read_policies(tmp_path)


@pytest.mark.parametrize("name", ["more.yml", "more.YAML", "more.Yml"])
def test_t20_a_policy_under_a_name_that_is_not_read_is_an_error(tmp_path: Path, name: str) -> None:
    """Its rules would deny nothing, and nobody would know."""
    (tmp_path / "policy.yaml").write_text(BASE + "tools: {a: low}\n")
    (tmp_path / name).write_text("version: 1\nrules: [{id: never, tools: [a], deny: true}]\n")
    with pytest.raises(ConfigurationError, match=rf"{name}: it would not be read; name it more\.yaml"):
        read_policies(tmp_path)


@pytest.mark.parametrize("name", ["policy.yaml", "tools.lock.json", "approvers.yaml"])
def test_t21_a_file_of_ten_megabytes_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """By its size, with what to do, before anything of it is built."""
    (tmp_path / "policy.yaml").write_text(BASE + "tools: {a: low}\n")
    text = ("[" if name.endswith("json") else "# ") + "a" * 17 * 1024 * 1024
    (tmp_path / name).write_text(text)

    def refused() -> None:
        with pytest.raises(ConfigurationError, match="larger than"):
            read_policies(tmp_path)

    assert seconds(refused) < 5


def test_t21_aliases_that_explode_are_refused_at_once() -> None:
    """A hundred bytes that would be a billion leaves."""
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10))
    text = "l0: &l0 [x, x, x, x, x, x, x, x, x]\n" + levels
    assert seconds(lambda: problems(text)) < 5
    assert "anchor &l0; remove it and write values out" in problems(text)


@pytest.mark.parametrize("where", ["tools", "rules", "limits"])
def test_a_glob_of_ten_thousand_characters_is_refused_at_once(where: str) -> None:
    """No tool has such a name; the message is short."""
    glob = "*a" * 5000
    text = (
        BASE
        + {
            "tools": f'tools:\n  ? "{glob}"\n  : low\n',
            "rules": f'tools: {{a: low}}\nrules: [{{id: r, tools: ["{glob}"], deny: true}}]\n',
            "limits": f'tools: {{a: low}}\nlimits: {{l: {{tools: ["{glob}"], max: 1, over: 1h, deny: true}}}}\n',
        }[where]
    )
    assert seconds(lambda: problems(text)) < 5
    assert "can never match a tool's name" in problems(text)
    assert len(problems(text)) < 1000


@pytest.mark.slow
def test_ten_thousand_rules_load_and_lint_in_seconds(tmp_path: Path) -> None:
    """With a condition each, over three hundred patterns."""
    for source in rules(10_000, "when: 'args.x > %d', "):
        (tmp_path / source.file).write_text(source.text)
    assert seconds(lambda: read_library(tmp_path)) < 30
    assert seconds(lambda: policy_warnings(tmp_path, read_library(tmp_path))) < 60


@pytest.mark.slow
def test_two_policies_of_thousands_of_rules_are_compared_in_seconds() -> None:
    """And what differs is found among them."""
    old, new = load(rules(3_000)), load(rules(2_999))
    assert seconds(lambda: compare(old, new)) < 30
    assert [change.what for change in compare(old, new)] == ["rule r2999"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "told"),
    [("t{:05d}_*", ""), ("*_t{:05d}", ""), ("*a*b*c*{:05d}*", "equally specific")],
    ids=["heads", "tails", "stars"],
)
def test_thousands_of_globs_are_compared_in_seconds(pattern: str, told: str) -> None:
    """Where all of them could meet, a hundred pairs are told and no more."""
    text = BASE + "tools: {" + ", ".join(f'"{pattern.format(number)}": low' for number in range(3000)) + "}\n"
    found: list[str] = []

    def tried() -> None:
        try:
            load([Source(file="policy.yaml", text=text)])
        except PolicyError as refused:
            found.extend(str(problem) for problem in refused.problems)

    assert seconds(tried) < 60
    assert len(found) <= 100
    assert all(told in each for each in found)
    assert bool(found) is bool(told)
