"""Runs a piece of Python in a process of its own: for what forks, is killed, or is interrupted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
FORKS_ARE_THE_SUBJECT = "ignore:This process:DeprecationWarning"
"""From 3.12 on, Python warns who forks beside a thread; what happens to those who do so is what the tests ask."""


def run(code: str, *args: object, input_text: str | None = None) -> list[str]:
    """The lines that the code printed; it must end well and say nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", FORKS_ARE_THE_SUBJECT, "-c", dedent(code), *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        input=input_text,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def begin(code: str, *args: object) -> subprocess.Popen[str]:
    """The code, running in a process of its own; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-c", dedent(code), *map(str, args)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
