"""Groups whose people a command tells: what is an answer, how long it counts, and who runs what."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from agentguard.approval.rota import Answer, Answers, NoAnswer, Rota, is_due, on_duty, read_answer
from agentguard.config import rotas
from agentguard.config.files import read_roster, read_signed_roster, sign_roster
from agentguard.config.rotas import ANSWERS, ask_groups, read_answers
from agentguard.errors import PolicyError
from agentguard.store.keys import SigningKey

PEOPLE = frozenset({"ann", "bob", "dan"})
NOW = 1_800_000_000_000
MINUTE = 60_000
ROTA = Rota(command=("rota", "now"), every="5m")


def write(folder: Path, *command: str, every: str = "5m") -> None:
    """An approvers.yaml with a rota."""
    words = ", ".join(f"'{word}'" for word in command)
    (folder / "approvers.yaml").write_text(
        "people:\n"
        "  ann: {email: ann@acme.example}\n"
        "  bob: {email: bob@acme.example}\n"
        "  dan: {email: dan@acme.example, groups: [stewards]}\n"
        f"groups:\n  on-call: {{command: [{words}], every: {every}}}\n"
    )


def script(folder: Path, code: str) -> tuple[str, ...]:
    """A program of the test's own."""
    (folder / "rota.py").write_text(code)
    return sys.executable, "rota.py"


def ask(folder: Path, **how: object) -> str:
    """Ask now: what went wrong, or nothing."""
    (asked,) = ask_groups(folder, read_roster(folder), now_ms=time.time_ns() // 1_000_000, **how)  # type: ignore[arg-type]
    return asked.wrong


def members(folder: Path) -> set[str]:
    """Who is on call by the files as they lie."""
    return set(read_roster(folder).members("group:on-call"))


def runs(stat: Path) -> bool:
    """Whether a process runs; one that nobody asked for its end yet does not."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestAnswers:
    """What counts, by the clock."""

    @pytest.mark.parametrize(
        ("output", "people"),
        [(b"ann\n", ("ann",)), (b"  bob \r\n\nann\nbob\n", ("bob", "ann")), (b"dan", ("dan",))],
    )
    def test_names_one_a_line_are_an_answer(self, output: bytes, people: tuple[str, ...]) -> None:
        """In their order, each once."""
        assert read_answer(output, PEOPLE) == people

    @pytest.mark.parametrize(
        "output",
        [b"", b"\n \n", b"eve\n", b"ann\neve\n", b"ann, bob\n", b"ann bob", b"ANN", b"ann@acme.example", b"\xff\xfe", b"ann\x00\n",
         b"group:on-call\n", b'["ann"]', b"ann\n" * 1_001],
        ids=["nothing", "blank", "a stranger", "one stranger", "a comma", "two in a line", "another case", "an address", "no text",
             "a zero byte", "a group", "JSON", "too many"],
    )  # fmt: skip
    def test_whatever_else_is_none(self, output: bytes) -> None:
        """Nobody is added for part of an answer; what was printed is told to nobody."""
        with pytest.raises(NoAnswer) as refused:
            read_answer(output, PEOPLE)
        assert "eve" not in str(refused.value)

    @pytest.mark.parametrize(
        ("age", "people", "due"),
        [(0, ("ann",), False), (5 * MINUTE - 1, ("ann",), False), (5 * MINUTE, ("ann",), True), (10 * MINUTE - 1, ("ann",), True),
         (10 * MINUTE, (), True), (-MINUTE, ("ann",), False), (-MINUTE - 1, (), True)],
    )  # fmt: skip
    def test_an_answer_counts_twice_as_long_as_it_is_asked_for(
        self, age: int, people: tuple[str, ...], due: bool
    ) -> None:
        """Then nobody is in the group; one from the future counts for nothing."""
        answer = Answer(command=ROTA.digest(), people=("ann",), asked_ms=NOW - age)
        assert on_duty(ROTA, answer, NOW) == people
        assert is_due(ROTA, answer, NOW) is due

    def test_the_answer_of_another_command_counts_for_nothing(self) -> None:
        """Whoever changes the command asks anew."""
        answer = Answer(command=Rota(command=("rota", "then")).digest(), people=("ann",), asked_ms=NOW)
        assert on_duty(ROTA, answer, NOW) == ()
        assert is_due(ROTA, answer, NOW)


class TestAsking:
    """Commands that are run."""

    def test_whom_the_command_names_is_in_the_group(self, tmp_path: Path) -> None:
        """By a file, which another process reads."""
        write(tmp_path, "echo", "ann")
        before = members(tmp_path)
        assert ask(tmp_path) == ""
        assert (before, members(tmp_path)) == (set(), {"ann"})

    def test_no_shell_reads_the_words(self, tmp_path: Path) -> None:
        """A `;` is a letter like any other."""
        write(tmp_path, "echo", "ann; touch pwned")
        assert "no names of people" in ask(tmp_path)
        assert not (tmp_path / "pwned").exists()

    @pytest.mark.parametrize(
        ("code", "why"),
        [("print('ann'); raise SystemExit(3)", "ended with 3"), ("", "names nobody"), ("print('x' * 70_000)", "over 65536 bytes"),
         ("import os; os.kill(os.getpid(), 9)", "ended with -9")],
        ids=["exit code", "nothing", "too much", "killed"],
    )  # fmt: skip
    def test_a_command_that_fails_leaves_the_last_answer(self, tmp_path: Path, code: str, why: str) -> None:
        """As long as that counts; what the failing one printed counts for nothing."""
        write(tmp_path, *script(tmp_path, "print('bob')"))
        ask(tmp_path)
        script(tmp_path, code)
        assert why in ask(tmp_path)
        assert members(tmp_path) == {"bob"}

    def test_an_answer_that_lapsed_leaves_nobody(self, tmp_path: Path) -> None:
        """Nobody is on call because they once were."""
        write(tmp_path, "false")
        roster = read_roster(tmp_path)
        old = Answer(
            command=roster.rotas["on-call"].digest(),
            people=("ann",),
            asked_ms=time.time_ns() // 1_000_000 - 10 * MINUTE,
        )
        (tmp_path / ANSWERS).write_text(Answers(groups={"on-call": old}).canonical())
        ask(tmp_path)
        assert members(tmp_path) == set()

    def test_a_command_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        """In words, and nothing else stops."""
        write(tmp_path, "no-such-program-here")
        assert "can't be run" in ask(tmp_path)
        assert set(read_roster(tmp_path).members("group:stewards")) == {"dan"}

    def test_a_command_that_hangs_is_ended_with_its_children(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its time is bounded, also where a child holds its output."""
        monkeypatch.setattr(rotas, "COMMAND_SECONDS", 0.3)
        code = "import subprocess, sys; subprocess.Popen(['sleep', '60']); open('up', 'w').close(); sys.stdin.read()"
        write(tmp_path, *script(tmp_path, f"{code}\nimport time; time.sleep(60)"))
        started = time.monotonic()
        assert "took over" in ask(tmp_path)
        assert time.monotonic() - started < 20

    def test_a_command_that_answers_leaves_nothing_behind(self, tmp_path: Path) -> None:
        """A child that it started goes with it."""
        code = "import subprocess as s; print(s.Popen(['sleep', '60'], stdout=s.DEVNULL).pid, file=open('pid', 'w')); print('ann')"
        write(tmp_path, *script(tmp_path, code))
        assert ask(tmp_path) == ""
        child = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
        give_up = time.monotonic() + 10
        while runs(child) and time.monotonic() < give_up:
            time.sleep(0.01)
        assert not runs(child)

    def test_a_command_is_given_none_of_our_settings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Passwords of Redis and secrets of webhooks are not for a rota."""
        monkeypatch.setenv("AGENTGUARD_REDIS_URL", "redis://:secret@redis.example")
        code = "import os; print('bob' if any(n.startswith('AGENTGUARD') for n in os.environ) else 'ann')"
        write(tmp_path, *script(tmp_path, code))
        ask(tmp_path)
        assert members(tmp_path) == {"ann"}

    def test_only_what_is_due_is_asked_again(self, tmp_path: Path) -> None:
        """A server that looks every few seconds asks as often as the file says."""
        write(tmp_path, *script(tmp_path, "open('log', 'a').write('x'); print('ann')"))
        roster, now = read_roster(tmp_path), time.time_ns() // 1_000_000
        for after in (0, 1, 4, 5):
            ask_groups(tmp_path, roster, now_ms=now + after * MINUTE, only_due=True)
        assert (tmp_path / "log").read_text() == "xx"

    def test_a_group_that_is_gone_from_the_file_is_forgotten(self, tmp_path: Path) -> None:
        """Its answer does not come back with the name."""
        write(tmp_path, "echo", "ann")
        ask(tmp_path)
        text = (tmp_path / "approvers.yaml").read_text()
        (tmp_path / "approvers.yaml").write_text(text.replace("on-call:", "watch:"))
        ask_groups(tmp_path, read_roster(tmp_path), now_ms=time.time_ns() // 1_000_000)
        assert set(read_answers(tmp_path).groups) == {"watch"}

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"groups": {"on-call": 1}}', '{"people": {}}', "\x00"])
    def test_a_broken_file_of_answers_means_nobody(self, tmp_path: Path, text: str) -> None:
        """The other groups go on, and asking puts it right."""
        write(tmp_path, "echo", "ann")
        (tmp_path / ANSWERS).write_text(text)
        assert members(tmp_path) == set()
        ask(tmp_path)
        assert members(tmp_path) == {"ann"}


class TestSigned:
    """Where agents take signed people alone."""

    @pytest.fixture
    def key(self, tmp_path: Path) -> SigningKey:
        """Who signs, and has signed approvers.yaml."""
        write(tmp_path, "echo", "ann")
        (tmp_path / "policy.yaml").write_text("version: 1\n")
        key = SigningKey.new()
        sign_roster(tmp_path, key)
        return key

    def on_call(self, folder: Path, key: SigningKey) -> set[str]:
        """Who is on call for an agent that wants this key's signature."""
        return set(read_signed_roster(folder, [key.public]).members("group:on-call"))

    def test_signed_answers_count(self, tmp_path: Path, key: SigningKey) -> None:
        """By the key that may say who people are."""
        ask(tmp_path, key=key)
        assert self.on_call(tmp_path, key) == {"ann"}

    @pytest.mark.parametrize("how", ["unsigned", "by another key", "changed", "of another time"])
    def test_t32_answers_that_nobody_signed_name_nobody(self, tmp_path: Path, key: SigningKey, how: str) -> None:
        """Whoever can write the file on the agent's side puts nobody on call."""
        signer = {"unsigned": None, "by another key": SigningKey.new()}.get(how, key)
        ask(tmp_path, key=signer)
        file = tmp_path / ANSWERS
        if how == "changed":
            file.write_text(file.read_text().replace('"ann"', '"bob"'))
        if how == "of another time":
            now = read_answers(tmp_path).groups["on-call"].asked_ms
            file.write_text(file.read_text().replace(str(now), str(now + 1)))
        assert self.on_call(tmp_path, key) == set()

    @pytest.mark.parametrize("only_due", [True, False])
    def test_t32_an_answer_that_somebody_put_there_is_never_signed(
        self, tmp_path: Path, key: SigningKey, only_due: bool
    ) -> None:
        """A planted answer that looks fresh is neither left alone as not yet due, nor kept where the command fails."""
        asked_ms = time.time_ns() // 1_000_000
        failing = Rota(command=("false",), every="5m")
        fresh = {"on-call": ("echo", "ann"), "leads": failing.command}
        people = (tmp_path / "approvers.yaml").read_text()
        (tmp_path / "approvers.yaml").write_text(people + "  leads: {command: ['false']}\n")
        sign_roster(tmp_path, key)
        planted = {
            group: Answer(command=Rota(command=command).digest(), people=("bob",), asked_ms=asked_ms)
            for group, command in fresh.items()
        }
        (tmp_path / ANSWERS).write_text(Answers(groups=planted).canonical())

        ask_groups(tmp_path, read_roster(tmp_path), now_ms=asked_ms, key=key, only_due=only_due)

        assert self.on_call(tmp_path, key) == {"ann"}
        assert read_signed_roster(tmp_path, [key.public]).members("group:leads") == frozenset()


def test_nobody_lists_a_group_that_a_command_tells(tmp_path: Path) -> None:
    """Two sources for one group would never be told apart."""
    write(tmp_path, "echo", "ann")
    file = tmp_path / "approvers.yaml"
    file.write_text(file.read_text().replace("groups: [stewards]", "groups: [on-call]"))
    with pytest.raises(PolicyError, match="is for its command to tell"):
        read_roster(tmp_path)


def test_answers_are_put_in_place_whole(tmp_path: Path) -> None:
    """No half of a file is left beside it."""
    write(tmp_path, "echo", "ann")
    ask(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [ANSWERS, "approvers.yaml"]
