"""Asks the commands of groups who is in them, and keeps what they answered beside approvers.yaml. The approvers' side alone does.

Rules:
- a command is a program and its arguments, run without a shell, in the folder of approvers.yaml, for at most ten seconds;
- it is given nothing to read, and nothing of agentguard's own settings;
- exit code 0 and a strict answer, or the last answer stays as it is, for as long as it counts;
- whoever signs the answers keeps only what they signed themselves: of others' answers each group is asked anew;
- the answers are put in place as one file, whole or not at all.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agentguard.approval.roster import Roster
from agentguard.approval.rota import Answer, Answers, NoAnswer, Rota, is_due, on_duty, read_answer
from agentguard.errors import ConfigurationError
from agentguard.store.keys import SigningKey, verify

ANSWERS = "approvers.groups.json"
COMMAND_SECONDS = 10.0
OUTPUT_MAX = 64 * 1024
_ANSWERS_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What came of asking one group: who is in it now, until when that counts, and what went wrong, if anything did."""

    group: str
    people: tuple[str, ...]
    until_ms: int
    wrong: str = ""


def read_answers(folder: Path, keys: Sequence[str] = ()) -> Answers:
    """The last answers; none where the file is not there, is broken, or none of these keys signed it (no keys: it needs no signature)."""
    with suppress(OSError, ValidationError, ValueError):
        with (folder / ANSWERS).open("rb") as file:
            found = Answers.read(file.read(_ANSWERS_MAX))
        if not keys or any(verify(key, found.signed_text(), found.signature) for key in keys):
            return found
    return Answers()


def ask_groups(
    folder: Path, roster: Roster, *, now_ms: int, key: SigningKey | None = None, only_due: bool = False
) -> list[Asked]:
    """Ask the commands of all groups (or of those that are due), and keep the answers, signed with this key. Raises ConfigurationError."""
    known = read_answers(
        folder, () if key is None else (key.public,)
    )  # whoever else wrote there gets no signature of ours
    kept: dict[str, Answer] = {name: known.groups[name] for name in roster.rotas if name in known.groups}
    told = []
    for name, rota in sorted(roster.rotas.items()):
        if only_due and not is_due(rota, kept.get(name), now_ms):
            continue
        wrong = ""
        try:
            people = read_answer(_output(rota, folder), frozenset(roster.people))
            kept[name] = Answer(command=rota.digest(), people=people, asked_ms=now_ms)
        except NoAnswer as none:
            wrong = f"its command gave no answer: {none}"
        told.append(state_of(name, rota, kept.get(name), now_ms, wrong))
    if told:
        _write(folder, kept, key)
    return told


def state_of(name: str, rota: Rota, answer: Answer | None, now_ms: int, wrong: str = "") -> Asked:
    """Who is in a group now, and until when that counts."""
    people = on_duty(rota, answer, now_ms)
    until = answer.asked_ms + 2 * rota.every_ms if answer is not None and people else 0
    return Asked(group=name, people=people, until_ms=until, wrong=wrong)


def _write(folder: Path, groups: Mapping[str, Answer], key: SigningKey | None) -> None:
    answers = Answers(groups=dict(groups))
    if key is not None:
        answers = answers.model_copy(update={"signature": key.sign(answers.signed_text())})
    file, new = folder / ANSWERS, folder / f".{ANSWERS}.{os.getpid()}"
    try:
        new.write_text(answers.canonical() + "\n", encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise ConfigurationError(
            f"{file}: what the groups' commands answered can't be kept ({error.strerror})"
        ) from None


def _output(rota: Rota, folder: Path) -> bytes:
    """What a command prints. Raises NoAnswer."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("AGENTGUARD_")}
    try:
        process = subprocess.Popen(  # noqa: S603 - without a shell, and as approvers.yaml says
            rota.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=settings,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise NoAnswer(f"it can't be run ({getattr(error, 'strerror', None) or type(error).__name__})") from None
    try:
        return _read(process)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _read(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    give_up, parts = time.monotonic() + COMMAND_SECONDS, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, give_up - time.monotonic())):
                raise NoAnswer(f"it took over {COMMAND_SECONDS:g} seconds")
            part = os.read(process.stdout.fileno(), OUTPUT_MAX)
            parts += part
            if not part:
                break
            if len(parts) > OUTPUT_MAX:
                raise NoAnswer(f"it printed over {OUTPUT_MAX} bytes")
    try:
        code = process.wait(max(0.01, give_up - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"it took over {COMMAND_SECONDS:g} seconds") from None
    if code != 0:
        raise NoAnswer(f"it ended with {code}")
    return parts
