"""Recorded runs of real models, through the real guard."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "agentdojo.py"


@pytest.mark.slow
def test_recorded_calls_pass_through_the_guard_without_a_crash_and_the_journal_verifies() -> None:
    """A sample of the recordings where they are beside the project; where they are not, the benchmark says so and is content."""
    # when
    ended = subprocess.run(
        [sys.executable, BENCHMARK, "--runs", "80"], capture_output=True, text=True, timeout=100, check=False
    )

    # then
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"records, verifies\n(.*\n)*crashes 0\n|^skipped: ", ended.stdout)
