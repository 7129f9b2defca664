"""Runs `agentguard` commands, and programs that use it, as processes of their own which begin where the imports have ended.

Importing takes most of a short command's time. One process imports once, and for each command forks a child that has the folder,
environment, input and output of that command alone; its exit code is the command's.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

LINES = ("stdin", "stdout", "stderr")


class Commands:
    """Starts with the first command, and ends with `close`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, words: tuple[str, ...], *, folder: Path, env: Mapping[str, str], text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `agentguard WORDS` in a folder, with nobody at the terminal."""
        with self.started(words, folder=folder, env=env, text=text) as running:
            out, err = running.communicate()
            return subprocess.CompletedProcess(["agentguard", *words], running.returncode, out, err)

    @contextmanager
    def started(
        self, words: tuple[str, ...] = (), *, folder: Path, env: Mapping[str, str], text: str = "", code: str = ""
    ) -> Iterator[Running]:
        """`agentguard WORDS`, or this Python code with WORDS, while it runs; ended with the block."""
        with TemporaryDirectory(prefix="ag-") as kept:
            files = {name: f"{kept}/{name}" for name in LINES}
            Path(files["stdin"]).write_text(text, encoding="utf-8")
            running = self.begin(words, folder=folder, env=env, code=code, **files)
            try:
                yield running
            finally:
                running.kill()

    def begin(
        self,
        words: tuple[str, ...],
        *,
        folder: Path,
        env: Mapping[str, str],
        stdin: str,
        stdout: str,
        stderr: str,
        code: str = "",
    ) -> Running:
        """Begin it with these files, or on a terminal where all three are one."""
        asked = {
            "argv": ["-c" if code else "agentguard", *words],
            "code": code,
            "folder": str(folder),
            "env": dict(env),
        }
        pid = self.answer({**asked, "stdin": stdin, "stdout": stdout, "stderr": stderr})
        return Running(pid=pid, stdout=Path(stdout), stderr=Path(stderr), commands=self)

    def close(self) -> None:
        """End the process that forks."""
        if self._process is not None:
            self._process.communicate()

    def answer(self, asked: dict[str, Any]) -> int:
        """What the process that forks says: who runs it now, or how who was waited for has ended."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.commands"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "COLUMNS": "160"},
                start_new_session=True,  # away from the terminal of whoever runs the tests
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@dataclass(kw_only=True)
class Running:
    """A command that was begun."""

    pid: int
    stdout: Path
    stderr: Path
    commands: Commands
    _code: int | None = None

    @property
    def returncode(self) -> int:
        """Its exit code, once it has ended."""
        if self._code is None:
            self._code = self.commands.answer({"wait": self.pid})
        return self._code

    def communicate(self) -> tuple[str, str]:
        """All that it printed, and all that it complained of, once it has ended."""
        assert self.returncode is not None
        return self.stdout.read_text(encoding="utf-8"), self.stderr.read_text(encoding="utf-8")

    def kill(self) -> None:
        """End it at once, where it has not ended."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            assert self.returncode is not None


def _serve() -> None:
    """For each line on standard input: fork and say who runs it, or wait for one and say how it ended."""
    from agentguard.cli import main  # noqa: PLC0415 - this process alone imports it, once
    from agentguard.cli.app import app  # noqa: PLC0415 - the same

    _import_all(typer.main.get_command(app))
    gc.collect()
    gc.freeze()  # children leave alone what they share
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            _become(asked)
            _end(partial(exec, asked["code"], {"__name__": "__main__"}) if asked["code"] else main)
        print(answer, flush=True)  # noqa: T201 - the answer


def _import_all(group: Any) -> None:
    """Import the module of every command, so that no child does."""
    for command in getattr(group, "commands", {}).values():
        _import_all(command)


def _become(asked: Mapping[str, Any]) -> None:
    """Take the place, the environment and the lines of a command."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    if asked["stdin"] == asked["stdout"]:
        os.setsid()  # so that the terminal becomes its own
    for number, name in enumerate(LINES):
        flags = os.O_RDWR if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(asked[name], flags, 0o600), number)
    sys.argv = asked["argv"]


def _end(run: Callable[[], None]) -> None:
    """Run it, and end as the interpreter would, without taking apart what was imported."""
    code = 0
    try:
        run()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    atexit._run_exitfuncs()  # a server that nobody uses any more is stopped by one of them
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
