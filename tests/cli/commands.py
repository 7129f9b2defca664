"""Runs `agentguard` commands as processes of their own, which begin where the imports have ended.

Importing takes most of a short command's time. One process imports once, and for each command forks a child that has the folder,
environment, input and output of that command alone; its exit code is the command's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from agentguard.cli import main


class Commands:
    """Starts with the first command, and ends with `close`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, words: tuple[str, ...], *, folder: Path, env: Mapping[str, str], text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `agentguard WORDS` in a folder, with nobody at the terminal."""
        with TemporaryDirectory(prefix="ag-") as kept:
            files = {name: f"{kept}/{name}" for name in ("stdin", "stdout", "stderr")}
            Path(files["stdin"]).write_text(text, encoding="utf-8")
            self.start(words, folder=folder, env=env, **files)
            code = self.ended()
            out, err = (Path(files[name]).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(["agentguard", *words], code, out, err)

    def start(
        self, words: tuple[str, ...], *, folder: Path, env: Mapping[str, str], stdin: str, stdout: str, stderr: str
    ) -> None:
        """Begin to run it with these files, or on a terminal where all three are one. Nothing else runs before it has `ended`."""
        asked = {"argv": ["agentguard", *words], "folder": str(folder), "env": dict(env)}
        self._say(json.dumps({**asked, "stdin": stdin, "stdout": stdout, "stderr": stderr}))

    def ended(self) -> int:
        """The exit code, once it is there."""
        assert self._process is not None
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process that forks."""
        if self._process is not None:
            self._process.communicate()

    def _say(self, line: str) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.commands"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "COLUMNS": "160"},
            )
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def _serve() -> None:
    """For each line on standard input: fork, run the command, say its exit code."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def _become(asked: dict[str, object]) -> None:
    """Be the command, and end."""
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["env"])  # type: ignore[call-overload]
    if asked["stdin"] == asked["stdout"]:
        os.setsid()  # so that the terminal becomes its own
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDWR if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(str(asked[name]), flags, 0o600), number)
    sys.argv = asked["argv"]  # type: ignore[assignment]
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter would end
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
