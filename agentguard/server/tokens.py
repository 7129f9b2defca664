"""Bearer tokens: what a program or a person shows to `agentguard serve` to decide in one approver's name.

Rules:
- a token is 256 random bits, shown once; the file holds its SHA-256 alone, for whom it is, and its times;
- the file is its owner's alone (0600), changed under a lock and replaced whole;
- it is of the human whose address stood beside the name when it was made: where the name is somebody else's by now, or in another
  approvers.yaml, it opens nothing;
- a revoked token's line is gone; an expired one counts for nothing;
- every stored hash is compared, in constant time, whichever matches: an answer's time tells nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from agentguard.approval.roster import Roster, plain
from agentguard.errors import ConfigurationError, DecisionRefused
from agentguard.model.record import Record
from agentguard.store.keys import read_private, write_private

PREFIX = "agt_"
"""What every token begins with, so that people and secret scanners know one."""

Scope = Literal["read", "decide"]

TOKEN_BYTES = 32
TOKEN_CHARACTERS_MAX = 128


class Token(Record):
    """One line of the file. `id` names the token without being one; `expires_ms` is None for one that lasts.

    `scope`: "read" looks at requests, "decide" decides them too. `email`: the person's address in approvers.yaml.
    """

    id: str
    person: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created_ms: int
    expires_ms: int | None = None
    scope: Scope = "decide"
    email: str = ""

    def expired(self, now_ms: int) -> bool:
        """Whether it counts for nothing any more."""
        return self.expires_ms is not None and now_ms >= self.expires_ms

    def is_of(self, roster: Roster) -> bool:
        """Whether its person is listed there, as the human that it was made for."""
        return is_listed(self.person, self.email, roster)


class TokenFile(Record):
    """The form of the file."""

    version: int = Field(default=1, ge=1, le=1)
    tokens: tuple[Token, ...] = ()


def create(
    path: Path,
    person: str,
    roster: Roster,
    *,
    now_ms: int,
    expires_ms: int | None = None,
    scope: Scope = "decide",
) -> tuple[Token, str]:
    """A new token for a person of approvers.yaml: its line, and the token itself, which nobody can read again.

    Raises ConfigurationError for somebody unknown, or where the file can't be written.
    """
    name = roster.find(person)
    if name is None:
        people = ", ".join(sorted(roster.people)) or "none"
        raise ConfigurationError(f"{person[:80]!r} is not in approvers.yaml; people there: {people}")
    if expires_ms is not None and expires_ms <= now_ms:
        raise ConfigurationError("the token would have expired already; give a time to come")
    text = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    line = Token(
        id=secrets.token_hex(4),
        person=name,
        sha256=_hash(text),
        created_ms=now_ms,
        expires_ms=expires_ms,
        scope=scope,
        email=roster.people[name].email,
    )
    _change(path, lambda tokens: (*tokens, line))
    return line, text


def is_listed(person: str, email: str, roster: Roster) -> bool:
    """Whether a person of this name has this address in approvers.yaml: a name alone may be another human's."""
    entry = roster.people.get(person)
    return entry is not None and plain(entry.email) == plain(email)


def revoke(path: Path, token_id: str) -> Token:
    """Take a token out of the file; from then on it opens nothing. Raises DecisionRefused ("not_found") where there is no such id."""
    gone = [token for token in read(path) if token.id == token_id]
    if not gone:
        raise DecisionRefused("not_found", f"no token {token_id[:80]!r}; `agentguard token list` shows their ids")
    _change(path, lambda tokens: [token for token in tokens if token.id != token_id])
    return gone[0]


def read(path: Path) -> tuple[Token, ...]:
    """All tokens of the file, expired ones too; none where there is no file. Raises ConfigurationError."""
    if not path.exists():
        return ()
    try:
        return TokenFile.read(read_private(path)).tokens
    except ValidationError:
        raise ConfigurationError(f"{path}: not a file of tokens; restore it, or remove it and make new ones") from None


def holder(tokens: Sequence[Token], shown: str, *, now_ms: int) -> Token | None:
    """The token that `shown` is, if it still counts; None for everything else."""
    if len(shown) > TOKEN_CHARACTERS_MAX:
        return None
    hashed = _hash(shown).encode()
    matching = [token for token in tokens if hmac.compare_digest(token.sha256.encode(), hashed)]
    return matching[0] if matching and not matching[0].expired(now_ms) else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _change(path: Path, change: Callable[[tuple[Token, ...]], Sequence[Token]]) -> None:
    """Replace the file with a changed one, whole, one writer at a time."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path):
            made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
            write_private(made, TokenFile(tokens=tuple(change(read(path)))).canonical() + "\n")
            made.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: the tokens can't be written ({error.strerror})") from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
