"""Entries of the vault: what goes in comes out, and only in its own place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.model.tokens import Known, Token
from agentguard.session.vault import Vault
from agentguard.store.seal import SealBroken, Sealer
from tests.session.made import DIGEST_KEY, SEAL_KEY, principal

VAULT = Vault(sealer=Sealer([SEAL_KEY]), keys=(DIGEST_KEY,))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
TOKENS = st.builds(Token, TEXT, TEXT, TEXT, st.just("") | TEXT)


@given(TOKENS)
def test_any_token_reads_back(token: Token) -> None:
    """Whatever its text, type and value."""
    # given
    text, macs, sealed = VAULT.entry(principal(), token)
    # when, then
    entry = VAULT.read("acme", principal().scope, text, macs[:16] + sealed, b"b\na")
    assert entry == (Known(token, ("a", "b")), None)


@given(TOKENS, TOKENS)
def test_digests_differ_exactly_where_values_do(one: Token, other: Token) -> None:
    """For one token text, type and canonical value make the digest; how it was spelled does not."""
    # given
    other = other._replace(text=one.text)
    # when
    same = VAULT.entry(principal(), one)[1] == VAULT.entry(principal(), other)[1]
    # then
    assert same == (one.identity == other.identity)


@pytest.mark.parametrize(
    ("session", "tenant"), [("thread-2", "acme"), ("thread-1", "globex")], ids=["session", "tenant"]
)
def test_t27_t35_an_entry_opens_in_its_own_place_only(session: str, tenant: str) -> None:
    """Not in another session, not in another tenant; and the digests can't be compared either."""
    # given
    token = Token("[EMAIL_k3q7xz2m4c]", "EMAIL_ADDRESS", "ann@acme.example")
    elsewhere = principal(session, tenant)
    text, macs, sealed = VAULT.entry(principal(), token)
    # when, then
    assert VAULT.entry(elsewhere, token)[1] != macs
    with pytest.raises(SealBroken):
        VAULT.read(tenant, elsewhere.scope, text, macs[:16] + sealed, None)
    with pytest.raises(SealBroken):
        VAULT.scope("globex", VAULT.owner("acme", principal().scope))
