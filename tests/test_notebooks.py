"""The notebooks run from top to bottom, headless and without a network, and are kept without outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RUN = """
import sys
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

own = KernelSpecManager(kernel_dirs=[])  # none is installed there, so it is the one of this interpreter
kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=own)
NotebookClient(nbformat.read(sys.argv[1], as_version=4), km=kernel, timeout=100).execute()
"""
"""Runs in a process of its own: the client leaves sockets to the garbage collector."""


def test_there_are_notebooks() -> None:
    """The notebook that the README names is among those that are run."""
    assert ROOT / "notebooks/01_quickstart.ipynb" in NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path, state_dir: Path) -> None:
    """Each cell runs, on a kernel of this interpreter, with everything it writes in a folder of its own and no way to other machines."""
    # given
    own = {"HOME": "home", "TMPDIR": "", "IPYTHONDIR": "ipython", "JUPYTER_RUNTIME_DIR": "runtime"}
    folders = {name: str(state_dir / folder) for name, folder in own.items()}
    (state_dir / "home").mkdir()

    # when
    ran = subprocess.run(
        [sys.executable, "-c", RUN, str(path)],
        cwd=state_dir,
        env={**os.environ, **folders, "ALL_PROXY": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )

    # then
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    """What a run printed, and how often a cell was run, is not in the project."""
    # given
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]

    # then
    assert not [cell for cell in code if cell.outputs or cell.execution_count]
