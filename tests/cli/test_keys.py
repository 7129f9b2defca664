"""A person's own key, sealed with a passphrase that is typed on a terminal and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentguard.config import Settings, assurance_of, open_guard
from agentguard.errors import AgentGuardError, ConfigurationError
from agentguard.model.calls import ToolCall
from agentguard.store.keys import SigningKey, is_sealed, verify
from tests import documents
from tests.cli.commands import Commands
from tests.cli.terminal import terminal
from tests.guard.world import World

PASSPHRASE = "correct horse battery staple"


def test_a_sealed_key_signs_with_its_passphrase(tmp_path: Path) -> None:
    """Spelt in whatever normal form."""
    key = SigningKey.new()
    key.save(tmp_path / "ann.key", "pass\u00e9")
    loaded = SigningKey.load(tmp_path / "ann.key", lambda: "passe\u0301")
    assert verify(key.public, b"m", loaded.sign(b"m"))
    assert is_sealed(tmp_path / "ann.key")


def test_a_sealed_key_says_nothing_of_the_key(tmp_path: Path) -> None:
    """Two files of one key differ, and neither holds it."""
    key = SigningKey.new()
    key.save(tmp_path / "one.key", PASSPHRASE)
    key.save(tmp_path / "two.key", PASSPHRASE)
    key.save(tmp_path / "plain.key")
    one, two, plain = ((tmp_path / f"{name}.key").read_text() for name in ("one", "two", "plain"))
    assert one != two
    assert plain.partition(":")[2].strip() not in one


@pytest.mark.parametrize("given", ["", "Hunter2!", PASSPHRASE + " "])
def test_a_wrong_passphrase_opens_nothing(tmp_path: Path, given: str) -> None:
    """The error does not repeat it."""
    SigningKey.new().save(tmp_path / "ann.key", PASSPHRASE)
    with pytest.raises(ConfigurationError, match="passphrase is wrong") as refused:
        SigningKey.load(tmp_path / "ann.key", lambda: given)
    assert not given.strip() or given not in str(refused.value)


def test_a_changed_file_opens_nothing(tmp_path: Path) -> None:
    """Nor one that is cut."""
    file = tmp_path / "ann.key"
    SigningKey.new().save(file, PASSPHRASE)
    file.write_text(file.read_text()[:-6] + "AAAA\n")
    with pytest.raises(ConfigurationError):
        SigningKey.load(file, lambda: PASSPHRASE)


def test_a_sealed_key_beside_the_agent_is_not_in_its_hands(tmp_path: Path) -> None:
    """What is not sealed is; then a signature tells little."""
    settings = Settings(redis_url="rediss://redis.example", config_dir=tmp_path)
    SigningKey.new().save(tmp_path / "keys" / "ann.key", PASSPHRASE)
    sealed = assurance_of(settings)
    SigningKey.new().save(tmp_path / "keys" / "bob.key")
    assert (sealed, assurance_of(settings)) == ("separate", "same-user")


def test_a_key_without_a_passphrase_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--no-passphrase`; it prints what goes into approvers.yaml, and overwrites nothing."""
    monkeypatch.setenv("AGENTGUARD_CONFIG_DIR", str(tmp_path))
    made = documents.run("agentguard keys new ann --no-passphrase", monkeypatch)
    shown = documents.run("agentguard keys show ann", monkeypatch)
    alone = documents.run("agentguard keys show", monkeypatch)
    again = documents.run("agentguard keys new ann --no-passphrase", monkeypatch)
    public = SigningKey.load(tmp_path / "keys" / "ann.key").public
    assert public in made[1]
    assert shown == alone == (0, public + "\n")
    assert again[0] == 2


@pytest.mark.slow
def test_the_passphrase_is_typed_on_the_terminal(commands: Commands, state_dir: Path) -> None:
    """Twice for a new key, not shown; what is piped in is not taken."""
    # given
    env = {**os.environ, "AGENTGUARD_CONFIG_DIR": str(state_dir), "COLUMNS": "160"}
    words = ("keys", "new", "ann")

    # when
    piped = commands.run(words, folder=state_dir, env=env, text=f"{PASSPHRASE}\n" * 2)
    with terminal(commands, *words, folder=state_dir, env=env) as person:
        for prompt in ("new key: ", "Once more: "):
            person.asked(prompt)
            person.press(f"{PASSPHRASE}\n")
        code = person.code()

    # then
    assert piped.returncode == 2
    assert "terminal" in piped.stderr
    assert code == 0
    assert PASSPHRASE not in person.written
    assert SigningKey.load(state_dir / "keys" / "ann.key", lambda: PASSPHRASE)


def test_t32_an_agent_takes_only_the_people_that_its_keys_signed(
    state_dir: Path, tmp_path: Path, valkey_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by another key, changed since, or not signed at all: nobody's vote counts, and nothing waits for one."""
    # given
    world = World(folder=state_dir, redis_url=valkey_url, tenant=tenant)
    monkeypatch.setenv("AGENTGUARD_CONFIG_DIR", str(tmp_path))
    documents.run("agentguard keys new chief --no-passphrase", monkeypatch)
    key = SigningKey.load(tmp_path / "keys" / "chief.key")
    trusting = world.settings.model_copy(update={"roster_keys": f"{SigningKey.new().public}, {key.public}"})
    approvers = world.policies / "approvers.yaml"

    def asks() -> str:
        with (
            open_guard(world.policies, tenant=tenant, settings=trusting) as guard,
            guard.session(user="ann@acme.example"),
        ):
            call = ToolCall(tool="export_customers", arguments={"limit": "many"})
            try:
                guard.asking.people()
                guard.blocking.run(call, world.tools.tool("export_customers"))
            except AgentGuardError as error:
                return str(error)
        return ""

    # when
    unsigned = asks()
    signed = documents.run(f"agentguard keys sign --policies {world.policies}", monkeypatch)
    good = asks()
    approvers.write_text(approvers.read_text().replace("zoe@", "mallory@"))
    changed = asks()

    # then
    assert signed[0] == 0
    assert "can't be read" in unsigned
    assert "invalid arguments" in good
    assert "is not signed by a key" in changed
