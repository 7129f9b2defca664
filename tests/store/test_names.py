"""Key names: one hash tag per tenant, and no name from outside that can pass for another."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from agentguard.store.names import Names

PARTS = st.text(max_size=80) | st.sampled_from(
    ["a:b", "a", "b", "{a}", "", "a" * 65, "#", "\udc80", "ann@acme.example"]
)


def all_names(names: Names, part: str) -> list[str]:
    """Every key of a tenant, with one part from outside."""
    return [
        names.events,
        names.pending,
        names.ended,
        names.request(part),
        names.votes(part),
        names.claim(part),
        names.call(part, part, part),
        names.join(part, part),
        names.turn(part),
        names.pace(part, part),
        names.erasures,
        names.vault(part),
        names.labels(part),
        names.said(part),
        names.brought(part),
        names.sources(part),
        names.counts(part),
        names.amounts(part, part),
        names.subjects(part, part),
        names.withheld(part, part, part),
    ]


@given(tenant=PARTS, part=PARTS)
def test_every_key_of_a_tenant_has_its_hash_tag_and_a_safe_form(tenant: str, part: str) -> None:
    """A script may touch any of them in a cluster, whatever the names from outside hold."""
    keys = all_names(Names(tenant), part)
    tags = {key[: key.index("}") + 1] for key in keys}

    assert len(tags) == 1
    assert all(re.fullmatch(r"ag:\{[A-Za-z0-9_.@#-]+\}:[a-z]+(:[A-Za-z0-9_.@#-]+)*", key) for key in keys)
    assert len(set(keys)) == len(keys)
    assert max(map(len, keys)) < 400


@given(one=PARTS, other=PARTS, part=PARTS)
def test_t35_two_tenants_share_no_key(one: str, other: str, part: str) -> None:
    """Nor can one be named so that it does."""
    shared = set(all_names(Names(one), part)) & set(all_names(Names(other), part))

    assert bool(shared) is (one == other)


@given(one=st.tuples(PARTS, PARTS, PARTS), other=st.tuples(PARTS, PARTS, PARTS))
def test_t2_two_calls_share_a_key_only_if_session_run_and_id_agree(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    """No separator in a name moves a border between parts."""
    names = Names("default")

    assert (names.call(*one) == names.call(*other)) is (one == other)
