"""approvers.yaml: who may decide, read strictly."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agentguard.approval import Roster, read_roster
from agentguard.approval.public_keys import is_public_key
from agentguard.errors import PolicyError


def a_key() -> str:
    """A fresh public key, as it stands in approvers.yaml."""
    return "ed25519:" + base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


KEY = a_key()
OTHER_KEY = a_key()

GOOD = f"""\
people:
  ann: {{email: Ann@acme.example, slack: U024BE7LH, groups: [stewards], key: "{KEY}"}}
  dan: {{email: dan@acme.example, groups: [stewards, security]}}
  bob: {{email: bob@acme.example}}
groups:
  on-call: [bob, ann]
signers:
  inbox: {{key: "{OTHER_KEY}", speaks_for: everyone}}
"""


@dataclass
class Step:
    """One step of a ladder."""

    to: tuple[str, ...]


@dataclass
class Terms:
    """One entry of a policy's approvals."""

    approvers: tuple[str, ...]
    quorum: int = 1
    from_each: bool = False
    reject_quorum: int = 1
    escalate: tuple[Step, ...] = ()


@dataclass
class Document:
    """The part of a policy document that the roster reads."""

    approvals: dict[str, Terms] = field(default_factory=dict)


def people() -> Roster:
    """The roster of GOOD."""
    return read_roster(GOOD, "approvers.yaml")


@pytest.mark.parametrize(
    ("approver", "members"),
    [
        pytest.param("group:stewards", {"ann", "dan"}, id="group that people list"),
        pytest.param("group:on-call", {"ann", "bob"}, id="group that lists people"),
        pytest.param("person:bob", {"bob"}, id="person"),
        pytest.param("user:ANN@ACME.EXAMPLE", {"ann"}, id="user by e-mail"),
        pytest.param("group:nobody", set(), id="unknown group"),
        pytest.param("person:eve", set(), id="unknown person"),
        pytest.param("ann", set(), id="no kind"),
        pytest.param("", set(), id="empty"),
    ],
)
def test_an_approver_means_its_people_and_nobody_else(approver: str, members: set[str]) -> None:
    """A group means its members, a person themself, and anything else nobody."""
    assert people().members(approver) == members


@pytest.mark.parametrize(
    "who",
    ["ann", "ANN", " ann@acme.example ", "ANN@acme.EXAMPLE", "\uff41nn@acme.example", "ann@acme\uff0eexample"],
)
def test_t15_one_person_is_found_under_every_spelling(who: str) -> None:
    """Names and addresses are compared as NFKC, without case and without white space around them."""
    assert people().find(who) == "ann"


@pytest.mark.parametrize("who", ["", "eve", "ann@acme.example.evil.example", "inbox"])
def test_who_is_not_listed_is_nobody(who: str) -> None:
    """An identity that cannot be resolved is None, never a guess."""
    assert people().find(who) is None


def test_the_groups_of_a_person_are_those_of_both_sides() -> None:
    """Groups that the person lists, and groups that list the person."""
    assert people().groups_of("ann") == ("on-call", "stewards")


BOB = "{email: bob@acme.example"
AFTER = "groups:\n"


@pytest.mark.parametrize(
    ("change", "place", "what"),
    [
        pytest.param(("dan@acme", "ANN@acme"), "approvers.yaml:3:9", "same e-mail", id="same e-mail in another case"),
        pytest.param((f'"{OTHER_KEY}"', f'"{KEY}"'), "approvers.yaml:8:11", "same key", id="same key"),
        pytest.param((KEY, "ed25519:AAAA"), "approvers.yaml:2:", "Ed25519", id="short key"),
        pytest.param((KEY, "ssh-ed25519 AAAA"), "approvers.yaml:2:", "Ed25519", id="another kind of key"),
        pytest.param(("[bob, ann]", "[bob, eve]"), "approvers.yaml:6:18", "no person 'eve'", id="unknown person in a group"),
        pytest.param(("[bob, ann]", "[]"), "approvers.yaml:6:3", "empty", id="empty group"),
        pytest.param(("[bob, ann]", "{command: []}"), "approvers.yaml:6:", "command", id="a command of nothing"),
        pytest.param(("[bob, ann]", "{command: rota now}"), "approvers.yaml:6:", "command", id="a command for a shell"),
        pytest.param(("[bob, ann]", "{command: [rota], every: often}"), "approvers.yaml:6:", "duration", id="every so often"),
        pytest.param(("  inbox:", "  ann:"), "approvers.yaml:8:3", "a person and a signer", id="signer with a person's name"),
        pytest.param(("speaks_for: everyone", "speaks_for: ann"), "approvers.yaml:8:", "everyone", id="narrow signer"),
        pytest.param(("slack:", "slak:"), "approvers.yaml:2:", "slak", id="unknown key"),
        pytest.param(("  bob:", "  ann:"), "approvers.yaml:4:", "duplicate", id="person twice"),
        pytest.param(("email: bob@acme.example", "email: bob"), "approvers.yaml:4:", "not an address", id="no address"),
        pytest.param(("  bob:", "  Bob!:"), "approvers.yaml:4:", "no name", id="odd name"),
        pytest.param(("groups: [stewards, security]", "slack: U024BE7LH"), "approvers.yaml:3:", "same Slack id", id="same slack"),
        pytest.param(("  bob:", "  confirm:"), "approvers.yaml:4:", "reserved", id="reserved name"),
        pytest.param((BOB, BOB + ", aliases: [ANN]"), "approvers.yaml:4:", "ann go by", id="alias is a name"),
        pytest.param((BOB, BOB + ", aliases: [u024be7lh]"), "approvers.yaml:4:", "ann go by", id="alias is a Slack id"),
        pytest.param((BOB, BOB + ", aliases: [DAN@acme.example]"), "approvers.yaml:4:", "dan go by", id="alias is an e-mail"),
        pytest.param(("{email: Ann", "{aliases: [bob@acme.example], email: Ann"), "approvers.yaml:4:", "ann go by", id="e-mail is alias"),
        pytest.param((BOB, BOB + ', aliases: [" "]'), "approvers.yaml:4:", "empty", id="empty alias"),
        pytest.param((AFTER, "agents: {clerk: {minted_by: [eve]}}\n" + AFTER), "approvers.yaml:5:", "no person 'eve'", id="minter"),
        pytest.param((AFTER, "agents: {clerk: {minted_by: []}}\n" + AFTER), "approvers.yaml:5:", "nobody is named", id="no minter"),
        pytest.param((AFTER, "users: some\n" + AFTER), "approvers.yaml:5:", "listed", id="odd users"),
        pytest.param((f'"{OTHER_KEY}"', f'["{OTHER_KEY}", "{OTHER_KEY}"]'), "approvers.yaml:8:", "twice", id="one key twice"),
        pytest.param((f'"{OTHER_KEY}"', f'["{OTHER_KEY}", "{KEY}"]'), "approvers.yaml:8:", "same key", id="another's key in a list"),
        pytest.param((f'"{OTHER_KEY}"', "[]"), "approvers.yaml:8:", "at least 1", id="no key in a list"),
    ],
)  # fmt: skip
def test_a_faulty_roster_does_not_load(change: tuple[str, str], place: str, what: str) -> None:
    """Each fault is an error with its place in the file."""
    # given
    text = GOOD.replace(*change)

    # when
    with pytest.raises(PolicyError) as refused:
        read_roster(text, "approvers.yaml")

    # then
    assert any(str(problem).startswith(place) and what in str(problem) for problem in refused.value.problems), (
        refused.value
    )


def test_a_roster_without_people_does_not_load() -> None:
    """An empty list of people is an error, never a pass."""
    with pytest.raises(PolicyError, match="nobody is listed"):
        read_roster("people: {}\n", "approvers.yaml")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(bytes(32), id="order 4"),
        pytest.param(b"\x01" + bytes(31), id="identity"),
        pytest.param((2**255 - 20).to_bytes(32, "little"), id="order 2"),
        pytest.param(b"\xff" * 32, id="not canonical"),
        pytest.param(b"\x02" + bytes(31), id="not on the curve"),
        pytest.param(bytes(31), id="31 bytes"),
        pytest.param(bytes(33), id="33 bytes"),
    ],
)
def test_a_weak_or_broken_key_is_no_key(raw: bytes) -> None:
    """Points of small order verify what nobody signed, and points off the curve verify nothing."""
    assert not is_public_key("ed25519:" + base64.b64encode(raw).decode())


@pytest.mark.parametrize(
    "text",
    ["", "ed25519:", KEY + "=", KEY + "\n", KEY.replace("ed25519:", "ED25519:"), "ed25519:é"],
    ids=["empty", "prefix alone", "padding added", "line end added", "prefix in capitals", "not ASCII"],
)
def test_a_key_is_written_in_one_way(text: str) -> None:
    """Anything but the prefix and canonical base64 is refused."""
    assert not is_public_key(text)


def test_a_fresh_key_is_a_key() -> None:
    """Every public key that the library makes is taken."""
    assert all(is_public_key(a_key()) for _ in range(20))


@pytest.mark.parametrize(
    ("terms", "path", "what"),
    [
        pytest.param(Terms(()), ("approvers",), "nobody could ever", id="no approvers"),
        pytest.param(Terms(("group:ghosts",)), ("approvers", 0), "no group 'ghosts'", id="unknown group"),
        pytest.param(Terms(("person:eve",)), ("approvers", 0), "no person 'eve'", id="unknown person"),
        pytest.param(Terms(("stewards",)), ("approvers", 0), "neither a group nor a person", id="no kind"),
        pytest.param(Terms(("person:ann", "person:ann")), ("approvers", 1), "twice", id="same entry twice"),
        pytest.param(Terms(("group:stewards",), 3), ("quorum",), "only 2 distinct", id="quorum over the group"),
        pytest.param(Terms(("group:stewards", "person:ann"), 3), ("quorum",), "only 2 distinct", id="counts people, not entries"),
        pytest.param(Terms(("person:dan", "group:security"), 1, True), ("quorum",), "more people", id="one human for two groups"),
        pytest.param(Terms(("group:stewards", "group:security"), 2, True), ("quorum",), "more people", id="quorum in each"),
        pytest.param(Terms(("group:stewards",), escalate=(Step(("group:ghosts",)),)), ("escalate", 0, "to", 0), "no group", id="step"),
        pytest.param(Terms(("group:stewards",), 1, reject_quorum=3), ("reject_quorum",), "only 2 distinct", id="nobody could reject"),
    ],
)  # fmt: skip
def test_an_approval_that_nobody_could_give_is_a_problem(terms: Terms, path: tuple[str | int, ...], what: str) -> None:
    """The policy's loader is told where, what, and what to write instead."""
    # given
    (check,) = people().checks()

    # when
    found = list(check(Document({"board": terms})))

    # then
    assert [(place, what in told, bool(instead)) for place, told, instead in found] == [
        (("approvals", "board", *path), True, True)
    ]


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param(Terms(("group:stewards",), 2), id="as many as there are"),
        pytest.param(Terms(("group:stewards", "group:security"), 1, True), id="one from each"),
        pytest.param(Terms(("person:bob",)), id="one person"),
    ],
)
def test_an_approval_that_can_be_given_is_no_problem(terms: Terms) -> None:
    """Nothing is said of what is right."""
    (check,) = people().checks()
    assert list(check(Document({"board": terms}))) == []


@pytest.mark.parametrize(
    "terms", [Terms(("group:rota",), 3), Terms(("group:stewards",), escalate=(Step(("group:rota",)),))]
)
def test_how_many_a_command_will_name_is_not_known_yet(terms: Terms) -> None:
    """A quorum is looked at when a call would ask, and not when the policy loads."""
    text = (
        GOOD.replace("groups:\n", "groups:\n  rota: {command: [rota]}\n", 1)
        if "\ngroups:" in GOOD
        else GOOD + "groups: {rota: {command: [rota]}}\n"
    )
    (check,) = read_roster(text, "approvers.yaml").checks()
    assert list(check(Document({"board": terms}))) == []
