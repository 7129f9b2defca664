"""Sealing: what is changed, moved, or sealed with a key that is gone does not open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.errors import GuardUnavailable
from agentguard.store.seal import SealBroken, Sealer

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32


@given(plain=st.binary(max_size=300), context=st.text(max_size=50))
def test_what_is_sealed_opens_in_its_context(plain: bytes, context: str) -> None:
    """Byte for byte, empty ones too."""
    sealer = Sealer([NEW])

    assert sealer.open(sealer.seal(plain, context), context) == plain


@given(data=st.data())
def test_a_changed_bit_anywhere_does_not_open(data: st.DataObject) -> None:
    """Version, nonce, text and tag are all bound."""
    sealed = Sealer([NEW]).seal(b"ann@acme.example", "vault")
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    changed = bytearray(sealed)
    changed[at // 8] ^= 1 << at % 8

    with pytest.raises(SealBroken):
        Sealer([NEW]).open(bytes(changed), "vault")


@given(length=st.integers(0, 44))
def test_a_cut_value_does_not_open(length: int) -> None:
    """However little is left of it."""
    sealed = Sealer([NEW]).seal(b"ann@acme.example", "vault")

    with pytest.raises(SealBroken):
        Sealer([NEW]).open(sealed[:length], "vault")


@given(garbage=st.binary(max_size=100))
def test_garbage_does_not_open(garbage: bytes) -> None:
    """And raises nothing else."""
    with pytest.raises(SealBroken):
        Sealer([NEW, OLD]).open(garbage, "vault")


@pytest.mark.parametrize("context", ["", "vault:b", "vault:a ", "Vault:a", "vault:\udc80"])
def test_t35_a_value_moved_to_another_context_does_not_open(context: str) -> None:
    """A value of one session is nothing in another."""
    sealed = Sealer([NEW]).seal(b"ann@acme.example", "vault:a")

    with pytest.raises(SealBroken):
        Sealer([NEW]).open(sealed, context)


def test_after_a_rotation_old_values_open_and_new_ones_need_the_new_key() -> None:
    """The newest key seals, every key opens, a key that is gone opens nothing."""
    before = Sealer([OLD]).seal(b"value", "vault")
    rotated = Sealer([NEW, OLD])

    assert rotated.open(before, "vault") == b"value"
    with pytest.raises(SealBroken):
        Sealer([OLD]).open(rotated.seal(b"value", "vault"), "vault")
    with pytest.raises(SealBroken):
        Sealer([OTHER]).open(before, "vault")


def test_one_value_is_never_sealed_twice_alike() -> None:
    """Nobody can tell equal values apart from others by looking at them."""
    sealer = Sealer([NEW])

    assert len({sealer.seal(b"value", "vault") for _ in range(1_000)}) == 1_000


def test_the_sealed_form_holds_nothing_in_clear() -> None:
    """Neither the value nor its context."""
    sealed = Sealer([NEW]).seal(b"ann@acme.example", "session-1")

    assert b"acme" not in sealed
    assert b"session" not in sealed


@pytest.mark.parametrize("keys", [[], [b""], [b"k" * 16], [NEW, b"k" * 31]], ids=["none", "empty", "short", "one bad"])
def test_sealing_without_good_keys_is_refused(keys: list[bytes]) -> None:
    """A weaker key is no key."""
    with pytest.raises(GuardUnavailable, match="keys"):
        Sealer(keys)
