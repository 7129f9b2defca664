"""Keys in files: the agent side's keyring, and people's and servers' signing keys.

Rules:
- a key file is the owner's alone (0600); one that others may read is refused;
- a person's key may be sealed with a passphrase, which is asked for each time it is used;
- each purpose has its own key, derived from the master keys (HKDF-SHA256), newest first;
- several processes that start at once agree on one keyring.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from agentguard.errors import ConfigurationError
from agentguard.store.base64_text import decoded

KEY_BYTES = 32
PUBLIC = "ed25519:"
PRIVATE = "ed25519-private:"
SEALED = "ed25519-sealed:"

_SALT_BYTES, _NONCE_BYTES = 16, 12
_SCRYPT_N = 2**16
"""64 MB and about a tenth of a second for each guess."""


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
    def load(cls, path: Path, passphrase: Callable[[], str] | None = None) -> SigningKey:
        """The key in a file; `passphrase` is asked for where it is sealed with one. Raises ConfigurationError."""
        text = read_private(path).strip()
        if text.startswith(SEALED):
            raw = _opened(path, text.removeprefix(SEALED), passphrase)
        else:
            raw = decoded(text.removeprefix(PRIVATE)) if text.startswith(PRIVATE) else None
        if raw is None or len(raw) != KEY_BYTES:
            raise ConfigurationError(f"{path}: not a signing key; `agentguard init` makes one")
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def save(self, path: Path, passphrase: str = "") -> None:
        """Write the key to a new file of the owner's alone, sealed with a passphrase if there is one.

        Raises ConfigurationError if there is a file already.
        """
        raw = self.private.private_bytes_raw()
        written = _sealed(raw, passphrase) if passphrase else raw
        text = (SEALED if passphrase else PRIVATE) + base64.b64encode(written).decode() + "\n"
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


def is_sealed(path: Path) -> bool:
    """Whether the signing key in a file is of no use without its passphrase."""
    return read_private(path).startswith(SEALED)


def verify(public: str, message: bytes, signature: str) -> bool:
    """Whether the owner of `public` signed `message`; False for anything malformed."""
    key, signed = decoded(public.removeprefix(PUBLIC)), decoded(signature)
    if not public.startswith(PUBLIC) or key is None or len(key) != KEY_BYTES or signed is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signed, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _sealed(raw: bytes, passphrase: str) -> bytes:
    """Salt, nonce and sealed key: AES-256-GCM under scrypt of the passphrase (RFC 7914)."""
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    return salt + nonce + AESGCM(_stretched(passphrase, salt)).encrypt(nonce, raw, SEALED.encode())


def _opened(path: Path, coded: str, passphrase: Callable[[], str] | None) -> bytes | None:
    sealed = decoded(coded)
    if sealed is None or len(sealed) <= _SALT_BYTES + _NONCE_BYTES:
        return None
    if passphrase is None:
        raise ConfigurationError(f"{path}: this key has a passphrase, and nobody is there to give it")
    salt, nonce = sealed[:_SALT_BYTES], sealed[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
    try:
        cipher = AESGCM(_stretched(passphrase(), salt))
        return cipher.decrypt(nonce, sealed[_SALT_BYTES + _NONCE_BYTES :], SEALED.encode())
    except InvalidTag:
        raise ConfigurationError(f"{path}: the passphrase is wrong, or the file was changed") from None


def _stretched(passphrase: str, salt: bytes) -> bytes:
    text = unicodedata.normalize("NFKC", passphrase).encode()
    return Scrypt(salt=salt, length=KEY_BYTES, n=_SCRYPT_N, r=8, p=1).derive(text)


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
        keys = tuple(decoded(entry["key"]) for entry in read["keys"])
        version = read["version"]
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{path}: not a keyring; restore it from a copy, or start with another state directory"
        ) from None
    good = tuple(key for key in keys if key is not None and len(key) == KEY_BYTES)
    if version != 1 or not good or len(good) != len(keys):
        raise ConfigurationError(f"{path}: a key in it is not 32 bytes of base64; restore it from a copy")
    return good
