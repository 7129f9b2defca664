"""Keys: private files, one keyring for all who start at once, signatures that say no to anything odd."""

from __future__ import annotations

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agentguard.errors import ConfigurationError
from agentguard.store.keys import Keyring, SigningKey, verify
from tests.store.scripts import begin

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
"""The same in every process of a test run."""

SIGNED = KEY.sign(b"approve")


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """A file with this text and these permissions."""
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_new_keyring_is_private_and_read_back(tmp_path: Path) -> None:
    """Written once, then always the same."""
    path = tmp_path / "new" / "keys.json"

    made = Keyring.load_or_create(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keyring.load_or_create(path) == made
    assert [len(key) for key in made.masters] == [32]


def test_processes_that_start_at_once_get_one_keyring(tmp_path: Path) -> None:
    """Whoever is first writes it; nobody reads half of it, and nothing else is left."""
    code = """
        import sys, pathlib
        from agentguard.store.keys import Keyring
        sys.stdin.read()
        print(Keyring.load_or_create(pathlib.Path(sys.argv[1])).derive("test")[0].hex())
    """
    processes = [begin(code, tmp_path / "keys.json") for _ in range(4)]
    with ThreadPoolExecutor(4) as together:
        said = list(together.map(lambda process: process.communicate("")[0], processes))

    assert len(set(said)) == 1
    assert len(said[0].strip()) == 64
    assert sorted(file.name for file in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]


def test_each_purpose_has_keys_of_its_own(tmp_path: Path) -> None:
    """Derived, 32 bytes, and the same at each start."""
    keyring = Keyring.load_or_create(tmp_path / "keys.json")

    purposes = ["journal", "vault", "vault values", "", "é"]
    keys = {keyring.derive(purpose)[0] for purpose in purposes}

    assert len(keys) == len(purposes)
    assert {len(key) for key in keys} == {32}
    assert keyring.masters[0] not in keys
    assert Keyring.load_or_create(tmp_path / "keys.json").derive("vault") == keyring.derive("vault")


def test_derived_keys_come_newest_first_like_the_masters(tmp_path: Path) -> None:
    """After a rotation the first key is new and the second is the one from before."""
    keyring = Keyring.load_or_create(tmp_path / "keys.json")
    read = json.loads((tmp_path / "keys.json").read_text())
    read["keys"].insert(0, {"id": "newer", "key": base64.b64encode(b"n" * 32).decode()})
    write(tmp_path / "keys.json", json.dumps(read))

    rotated = Keyring.load_or_create(tmp_path / "keys.json")

    assert rotated.masters == (b"n" * 32, *keyring.masters)
    assert rotated.derive("vault")[1] == keyring.derive("vault")[0]


def test_a_keyring_does_not_show_its_keys() -> None:
    """Not in a log line, nor in a traceback."""
    assert "kkkk" not in repr(Keyring((b"k" * 32,)))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_key_files_that_others_may_touch_are_refused(tmp_path: Path, mode: int) -> None:
    """Keyrings and signing keys alike; the message says what to do."""
    Keyring.load_or_create(tmp_path / "keys.json")
    KEY.save(tmp_path / "ann.key")
    (tmp_path / "keys.json").chmod(mode)
    (tmp_path / "ann.key").chmod(mode)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        Keyring.load_or_create(tmp_path / "keys.json")
    with pytest.raises(ConfigurationError, match="chmod 600"):
        SigningKey.load(tmp_path / "ann.key")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"version": 1, "keys": []}',
        '{"version": 2, "keys": [{"id": "a", "key": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="}]}',
        '{"version": 1, "keys": [{"id": "a", "key": "c2hvcnQ="}]}',
        '{"version": 1, "keys": [{"id": "a", "key": "not base64 at all"}]}',
        '{"version": 1, "keys": [{"id": "a", "key": 7}]}',
        '{"version": 1, "keys": [{"id": "a"}]}',
        '{"version": 1, "keys": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="}',
    ],
    ids=[
        "empty",
        "list",
        "nothing in it",
        "null",
        "no keys",
        "later version",
        "short key",
        "no base64",
        "number for a key",
        "entry without a key",
        "text for a list",
    ],
)
def test_a_broken_keyring_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    """A new one in its place would make everything sealed before unreadable, and every journal unverifiable."""
    path = write(tmp_path / "keys.json", text)

    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        Keyring.load_or_create(path)
    assert path.read_text() == text


def test_a_place_where_no_keyring_can_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    """The error names the setting."""
    write(tmp_path / "file", "")

    with pytest.raises(ConfigurationError, match="AGENTGUARD_STATE_DIR"):
        Keyring.load_or_create(tmp_path / "file" / "keys.json")


def test_a_signing_key_is_saved_private_and_loaded(tmp_path: Path) -> None:
    """One line of text, for its owner alone; it is never written over."""
    KEY.save(tmp_path / "keys" / "ann.key")

    assert stat.S_IMODE((tmp_path / "keys" / "ann.key").stat().st_mode) == 0o600
    assert SigningKey.load(tmp_path / "keys" / "ann.key").public == KEY.public
    with pytest.raises(ConfigurationError, match="can't be written"):
        SigningKey.new().save(tmp_path / "keys" / "ann.key")


@pytest.mark.parametrize(
    "text",
    ["", "ed25519-private:", "ed25519-private:AAAA", KEY.public, "ssh-ed25519 AAAA", "ed25519-private:é", "\x00"],
    ids=["empty", "no key", "short", "public", "other format", "no text", "binary"],
)
def test_what_is_no_signing_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    """It may be a private key in another format."""
    path = write(tmp_path / "ann.key", text)

    with pytest.raises(ConfigurationError, match=r"ann\.key") as caught:
        SigningKey.load(path)
    assert "AAAA" not in str(caught.value)


def test_a_missing_signing_key_is_refused(tmp_path: Path) -> None:
    """No key is made up."""
    with pytest.raises(ConfigurationError, match="can't be read"):
        SigningKey.load(tmp_path / "ann.key")


@given(message=st.binary(max_size=200))
def test_a_signature_verifies_for_its_message_and_key_alone(message: bytes) -> None:
    """Another message or another key says no."""
    signature = KEY.sign(message)

    assert verify(KEY.public, message, signature)
    assert not verify(KEY.public, message + b".", signature)
    assert not verify(SigningKey.new().public, message, signature)


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        ("", SIGNED),
        ("ed25519:", SIGNED),
        ("ed25519:AAAA", SIGNED),
        (KEY.public.removeprefix("ed25519:"), SIGNED),
        (KEY.public.upper(), SIGNED),
        (KEY.public + " ", SIGNED),
        (KEY.public.replace("ed25519:", "ed25519-private:"), SIGNED),
        ("ed25519:\udc80", SIGNED),
        (KEY.public, ""),
        (KEY.public, "AAAA"),
        (KEY.public, SIGNED[:-4]),
        (KEY.public, SIGNED + "\n"),
        (KEY.public, SIGNED.rstrip("=")),
        (KEY.public, SIGNED + SIGNED),
        (KEY.public, "é"),
        (KEY.public, "\udc80"),
    ],
    ids=[
        "no public key",
        "empty public key",
        "short public key",
        "public key without its prefix",
        "public key in capitals",
        "space after the public key",
        "private prefix",
        "surrogate in the public key",
        "no signature",
        "short signature",
        "cut signature",
        "line end after the signature",
        "signature without padding",
        "signature twice",
        "letter that is not base64",
        "surrogate in the signature",
    ],
)
def test_t32_anything_malformed_is_no_signature(public: str, signature: str) -> None:
    """It is False, and never an error that somebody might let pass."""
    assert verify(public, b"approve", signature) is False


@given(public=st.text(max_size=60), signature=st.text(max_size=100))
def test_t32_no_text_makes_verify_raise(public: str, signature: str) -> None:
    """Whatever stands in Redis or in a file."""
    assert verify(f"ed25519:{public}", b"approve", signature) is False


def test_t32_a_signature_has_one_spelling() -> None:
    """Bits that base64 leaves unused are not free to vary, so a signed vote has one form."""
    position = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = SIGNED[-3]
    respelt = SIGNED[:-3] + position[position.index(last) ^ 1] + SIGNED[-2:]

    assert base64.b64decode(respelt) == base64.b64decode(SIGNED)
    assert not verify(KEY.public, b"approve", respelt)
