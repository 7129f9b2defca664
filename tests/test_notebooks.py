"""The notebooks run from top to bottom, headless and without a network, and are kept without outputs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
QUICKSTART = ROOT / "notebooks/01_quickstart.ipynb"
OTHERS = [path for path in NOTEBOOKS if path != QUICKSTART]
NO_NETWORK = "http://127.0.0.1:9"
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
RUN_ALL = """
import asyncio
import os
import sys
import agents, langchain.agents, mcp, nbformat, openai
from IPython.core.interactiveshell import InteractiveShell

async def run(path):
    shell = InteractiveShell.instance()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            code = shell.transform_cell(cell.source)
            (await shell.run_cell_async(cell.source, transformed_cell=code)).raise_error()

for path in sys.argv[1:]:
    if (child := os.fork()) == 0:
        sys.stdout = sys.stderr
        os.environ["HOME"] = os.environ["IPYTHONDIR"] = os.getcwd()
        try:
            asyncio.run(run(path))
        except BaseException:
            os._exit(1)
        os._exit(0)
    print(path, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Imports once, and runs the cells of each notebook in a child, in a kernel's shell with a loop running; says how each ended."""


def test_there_are_notebooks() -> None:
    """The notebook that the README names is among those that are run."""
    assert QUICKSTART in NOTEBOOKS
    assert len(OTHERS) == 5


@pytest.mark.slow
def test_the_quickstart_runs(state_dir: Path) -> None:
    """Each cell runs, on a kernel of this interpreter, with everything it writes in a folder of its own and no way to other machines."""
    # given
    own = {"HOME": "home", "TMPDIR": "", "IPYTHONDIR": "ipython", "JUPYTER_RUNTIME_DIR": "runtime"}
    folders = {name: str(state_dir / folder) for name, folder in own.items()}
    (state_dir / "home").mkdir()

    # when
    ran = _run(RUN, QUICKSTART, folder=state_dir, env=folders)

    # then
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def ended() -> Iterator[tuple[dict[str, str], str]]:
    """How each notebook of an integration ended, by its path, and all that they printed."""
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        ran = _run(RUN_ALL, *OTHERS, folder=Path(folder), env={"TMPDIR": folder})
        yield dict(line.split() for line in ran.stdout.splitlines()), ran.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)  # the first one waits for all
@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_the_notebook_of_each_integration_runs(path: Path, ended: tuple[dict[str, str], str]) -> None:
    """Each cell runs, with everything it writes in a folder of its own and no way to other machines."""
    # given
    codes, printed = ended

    # then
    assert codes[str(path)] == "0", printed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    """What a run printed, and how often a cell was run, is not in the project."""
    # given
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]

    # then
    assert not [cell for cell in code if cell.outputs or cell.execution_count]


def _run(code: str, *paths: Path, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)],
        cwd=folder,
        env={**os.environ, **env, "ALL_PROXY": NO_NETWORK},
        capture_output=True,
        text=True,
        check=False,
    )
