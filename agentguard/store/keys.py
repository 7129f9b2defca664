"""Keys in files: the agent side's keyring, and people's and servers' signing keys.

Rules:
- a key file is the owner's alone (0600); one that others may read is refused;
- each purpose has its own key, derived from the master keys (HKDF-SHA256), newest first;
- several processes that start at once agree on one keyring.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agentguard.errors import ConfigurationError

KEY_BYTES = 32
PUBLIC = "ed25519:"
PRIVATE = "ed25519-private:"


@dataclass(frozen=True)
class Keyring:
    """Master keys, newest first; the others are kept for what was made with them."""

    masters: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def load_or_create(cls, path: Path) -> Keyring:
        """The keyring in a file; a new one is written where there is none. Raises ConfigurationError."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                _create(path)
        except OSError as error:
            raise ConfigurationError(
                f"{path}: the keyring can't be made ({error.strerror}); set AGENTGUARD_STATE_DIR"
            ) from None
        return cls(_masters(path))

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        """The keys of one purpose, 32 bytes each, newest first."""
        return tuple(
            HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"agentguard {purpose}".encode()).derive(master)
            for master in self.masters
        )


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 private key (RFC 8032)."""

    private: Ed25519PrivateKey

    @classmethod
    def new(cls) -> SigningKey:
        """A fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """The key in a file. Raises ConfigurationError."""
        text = read_private(path).strip()
        raw = _decoded(text.removeprefix(PRIVATE)) if text.startswith(PRIVATE) else None
        if raw is None or len(raw) != KEY_BYTES:
            raise ConfigurationError(f"{path}: not a signing key; `agentguard init` makes one")
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def save(self, path: Path) -> None:
        """Write the key to a new file of the owner's alone. Raises ConfigurationError if there is one already."""
        text = PRIVATE + base64.b64encode(self.private.private_bytes_raw()).decode() + "\n"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, text)
        except OSError as error:
            raise ConfigurationError(f"{path}: the key can't be written ({error.strerror})") from None

    @property
    def public(self) -> str:
        """The public key as approvers.yaml has it."""
        return PUBLIC + base64.b64encode(self.private.public_key().public_bytes_raw()).decode()

    def derive(self, purpose: str) -> bytes:
        """A secret of 32 bytes for another purpose of this key's owner (HKDF, RFC 5869)."""
        info = f"agentguard signer: {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self.private.private_bytes_raw())

    def sign(self, message: bytes) -> str:
        """The signature of a message, base64."""
        return base64.b64encode(self.private.sign(message)).decode()


def verify(public: str, message: bytes, signature: str) -> bool:
    """Whether the owner of `public` signed `message`; False for anything malformed."""
    key, signed = _decoded(public.removeprefix(PUBLIC)), _decoded(signature)
    if not public.startswith(PUBLIC) or key is None or len(key) != KEY_BYTES or signed is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signed, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_private(path: Path) -> str:
    """The text of a file that only its owner may read. Raises ConfigurationError."""
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: can't be read ({type(error).__name__})") from None
    if mode & 0o077:
        raise ConfigurationError(f"{path}: others may read it (mode {mode:o}); chmod 600 it")
    return text


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner may read. Raises FileExistsError, OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _create(path: Path) -> None:
    """Write a new keyring, unless another process was quicker: under a lock, and renamed into place whole."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        keys = [{"id": secrets.token_hex(4), "key": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}]
        write_private(made, json.dumps({"version": 1, "keys": keys}))
        made.rename(path)
    finally:
        os.close(lock)


def _masters(path: Path) -> tuple[bytes, ...]:
    try:
        read = json.loads(read_private(path))
        keys = tuple(_decoded(entry["key"]) for entry in read["keys"])
        version = read["version"]
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{path}: not a keyring; restore it from a copy, or start with another state directory"
        ) from None
    good = tuple(key for key in keys if key is not None and len(key) == KEY_BYTES)
    if version != 1 or not good or len(good) != len(keys):
        raise ConfigurationError(f"{path}: a key in it is not 32 bytes of base64; restore it from a copy")
    return good


def _decoded(text: str) -> bytes | None:
    """The bytes of the one base64 text that stands for them; None for any other text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
