"""The project's documents as tests read them: sections, code blocks, console sessions and links.

How a document is read:
- a block of yaml is a file of `tool_policies/`: named by its first line (`# crm.yaml`), else policy.yaml, or approvers.yaml if it
  has people;
- a policy.yaml that leaves sections out is completed with those of the smallest policy, in docs/policy.md;
- `refused` in its first line says that it must not load;
- a block of console is commands (`$ ...`), each with the output that must come, `...` for what differs between runs; a command without
  output only has to succeed;
- another block with a name behind its language (```` ```json record.json ````) is a file beside that folder;
- files belong to the section (`##`) that they stand in.
"""

from __future__ import annotations

import functools
import io
import re
import shlex
from bisect import bisect
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentguard.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^```(?P<language>\w*)(?: (?P<given>[\w.-]+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
_NAMED = re.compile(r"# (?P<name>[\w.-]+\.yaml)(?P<refused>, refused)?\b")


@dataclass(frozen=True)
class Block:
    """A block of code: where it stands, its language and its text."""

    file: Path
    line: int
    section: str
    language: str
    given: str
    text: str

    @property
    def place(self) -> str:
        """File and line, for messages and test ids."""
        return f"{self.file.relative_to(ROOT)}:{self.line}"

    @property
    def name(self) -> str:
        """The file of tool_policies/ that a block of yaml is."""
        named = _NAMED.match(self.text)
        return named["name"] if named else "approvers.yaml" if "people" in self.keys else "policy.yaml"

    @property
    def refused(self) -> bool:
        """Whether a block of yaml must not load."""
        named = _NAMED.match(self.text)
        return named is not None and named["refused"] is not None

    @property
    def keys(self) -> set[str]:
        """The top-level keys of a block of yaml; none for a list."""
        return set(re.findall(r"^([a-z]+):", self.text, re.MULTILINE))

    @property
    def steps(self) -> list[tuple[str, str]]:
        """The commands of a console block, each with its output."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def blocks(file: Path, language: str) -> list[Block]:
    """The blocks of one language in a document, in order."""
    return [block for block in _all_blocks(file) if block.language == language]


def before(block: Block) -> list[Block]:
    """The files of a block's section that stand before it."""
    return [
        each
        for each in _all_blocks(block.file)
        if each.section == block.section and each.line < block.line and (each.language == "yaml" or each.given)
    ]


def smallest_policy() -> Block:
    """The policy that completes the others."""
    return blocks(ROOT / "docs/policy.md", "yaml")[0]


def people() -> Block:
    """The people of the other examples."""
    return blocks(ROOT / "docs/approvers.md", "yaml")[0]


def write_files(folder: Path, written: list[Block]) -> Path:
    """Put blocks where they belong: policies into tool_policies/, over the smallest policy and its people. Gives that folder."""
    policies = folder / "tool_policies"
    policies.mkdir()
    for block in [smallest_policy(), people(), *written]:
        (folder / block.given if block.given else policies / block.name).write_text(completed(block))
    return policies


def prepare(folder: Path, session: Block) -> None:
    """What a console session of a document finds in its folder: the files before it; nothing where it begins with `agentguard init`."""
    if not session.text.startswith("$ agentguard init"):
        write_files(folder, before(session))


def completed(block: Block) -> str:
    """The text of a block, with the sections that a policy.yaml leaves out."""
    if block.given or block.name != "policy.yaml":
        return block.text
    own = block.keys
    missing = {key: value for key, value in _smallest().items() if key not in own}
    return block.text + (yaml.safe_dump(missing, sort_keys=False) if missing else "")


@functools.cache
def _smallest() -> dict[str, Any]:
    """The sections of the smallest policy."""
    return dict(yaml.safe_load(smallest_policy().text))


def links(file: Path) -> list[str]:
    """The local links of a document, without what follows #."""
    text = _FENCE.sub("", file.read_text())
    found = (target.partition("#")[0] for target in _LINK.findall(text))
    return sorted({target for target in found if target and "://" not in target})


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Run an `agentguard` command here: its exit code, and all that it prints."""
    printed = io.StringIO()
    monkeypatch.setattr("sys.argv", shlex.split(command, comments=True))
    with redirect_stdout(printed), redirect_stderr(printed), pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), printed.getvalue()


def told(expected: str, printed: str) -> bool:
    """Whether this was printed; `...` in what was expected stands for anything."""
    return OutputChecker().check_output(expected, printed, ELLIPSIS)


@functools.cache
def _all_blocks(file: Path) -> list[Block]:
    text = file.read_text()
    fences = list(_FENCE.finditer(text))
    headings = _headings(text)
    return [
        Block(
            file=file,
            line=text.count("\n", 0, found.start()) + 1,
            section=headings[bisect(headings, (found.start(), "")) - 1][1],
            language=found["language"],
            given=found["given"] or "",
            text=found["text"],
        )
        for found in fences
    ]


def _headings(text: str) -> list[tuple[int, str]]:
    """The headings with their places, after a nameless one at the beginning; inside a block of code nothing is one."""
    prose = _FENCE.sub(lambda fence: " " * len(fence[0]), text)
    return [(-1, ""), *((found.start(), found[1]) for found in _HEADING.finditer(prose))]
