"""What is proposed for tools that nobody classified: never low for what may have an effect."""

from __future__ import annotations

import pytest

from agentguard.model.listings import Hints, Listing
from agentguard.model.record import Json
from agentguard.model.verdicts import Risk
from agentguard.policy.proposing import propose, roles_of, words_of
from agentguard.policy.tool_words import BESIDE_READING, CRITICAL, EFFECT, READING
from benchmarks.labelled_tools import labelled


def listing(name: str, description: str = "", hints: Hints | None = None, **parameters: str) -> Listing:
    properties: Json = {key: {"type": kind} for key, kind in parameters.items()}
    return Listing(
        name=name,
        description=description,
        input_schema={"type": "object", "properties": properties},
        hints=hints or Hints(),
    )


@pytest.mark.parametrize(
    ("tool", "risk", "why"),
    [
        (listing("get_customer", "Looks up a customer."), Risk.LOW, "its name says 'get'"),
        (listing("listOrders"), Risk.LOW, "its name says 'list'"),
        (listing("weather", "Current weather of a city."), Risk.LOW, "names a thing"),
        (listing("list_deleted_files", "Files that were deleted."), Risk.LOW, "'list'"),
        (listing("hours", "When a shop is open."), Risk.LOW, "it tells when"),
        (listing("create_user"), Risk.HIGH, "'create'"),
        (listing("customer.update"), Risk.HIGH, "'update'"),
        (listing("get_or_create_user"), Risk.HIGH, "'get' ... 'create'"),
        (listing("read_mail", "Reads mail and marks it as read."), Risk.HIGH, "'marks'"),
        (listing("get_quote", "Gets a quote. Sends it to the customer."), Risk.HIGH, "'sends'"),
        (listing("lookup", "Looks up a number; the number will be updated."), Risk.HIGH, "'updated'"),
        (listing("get_mail", "Gets mail.", mark_as_read="boolean"), Risk.HIGH, "it can be told to mark_as_read"),
        (listing("read_page", "Reads a page.", url="string"), Risk.HIGH, "it reaches the address in url"),
        (listing("check_in", "Checks a guest in."), Risk.HIGH, "'check in'"),
        (listing("email", "About something."), Risk.HIGH, "'email'"),
        (listing("frobnicate"), Risk.HIGH, "nothing in it says that it only reads"),
        (listing("tidy", "Frobnicates the shelf."), Risk.HIGH, "'frobnicates'"),
        (listing("delete_user"), Risk.CRITICAL, "'delete'"),
        (listing("helper", "Looks around.", command="string"), Risk.CRITICAL, "it runs what stands in command"),
        (listing("search", "Search with SQL.", query="string"), Risk.CRITICAL, "it runs what stands in query"),
        (listing("get_data", hints=Hints(destructive=True)), Risk.CRITICAL, "it says that it is destructive"),
        (listing("get_data", hints=Hints(read_only=False)), Risk.HIGH, "it says that it is not read-only"),
        (listing("send_mail", hints=Hints(read_only=True)), Risk.HIGH, "'send'"),
    ],
    ids=lambda each: each.name if isinstance(each, Listing) else None,
)
def test_a_risk_has_its_reason(tool: Listing, risk: Risk, why: str) -> None:
    """Each sign counts by itself, and no claim of a server lowers anything."""
    proposal = propose(tool)
    assert (proposal.risk, why in proposal.why) == (risk, True), proposal


@pytest.mark.parametrize(
    "text",
    ["It does not delete anything.", "Shows the plan without creating it.", "Nothing is sent and none is written."],
)
def test_what_is_denied_is_no_effect(text: str) -> None:
    """A description that says what it does not do stays a reading one."""
    assert propose(listing("get_plan", f"Gets the plan. {text}")).risk is Risk.LOW


def test_what_a_description_says_of_parameters_is_no_effect() -> None:
    """The part about arguments is about values, not about deeds."""
    text = "Gets orders.\n\nArgs:\n    state: Deletes nothing, creates nothing; creates a filter.\n"
    assert propose(listing("get_orders", text)).risk is Risk.LOW


@pytest.mark.parametrize(
    "tool",
    [
        listing("get_x", "a" * 100_000),
        listing("get_x", "and " * 50_000),
        listing("get_x", "tool to " * 20_000),
        listing("aB" * 30_000, ""),
        listing("get_x", "x.\n" * 50_000),
        Listing(name="get_x", input_schema={"properties": [1]}),
        Listing(name="get_x", input_schema={"properties": {"url\n  evil: low #": {}, "": 5, "a": None}}),
        Listing(name="", description=""),
    ],
    ids=["long word", "and", "lead", "humps", "sentences", "properties", "names", "empty"],
)
def test_hostile_tools_are_classified_in_bounded_time(tool: Listing) -> None:
    """Whatever a server says of its tools, a proposal comes, in one line."""
    assert "\n" not in propose(tool).why
    assert roles_of(tool).keys() <= {"url"}


def test_roles_are_proposed_by_the_names_of_parameters() -> None:
    """So that rules over roles fit from the start; a name that no path can write is left out."""
    tool = listing(
        "send", to="string", cc="array", body="string", callbackUrl="string", x="string", **{"a b": "string"}
    )
    assert roles_of(tool) == {"recipient": ["to", "cc"], "url": ["callbackUrl"], "text": ["body"]}


def test_words_of_names_are_found_in_every_style() -> None:
    """Camel case, snake case, dots and numbers."""
    assert words_of("getHTTPUser2-info_by.id") == ["get", "http", "user", "2", "info", "by", "id"]


def test_lists_of_words_agree() -> None:
    """No verb both reads and has an effect, and what is critical has one."""
    assert not READING & EFFECT
    assert CRITICAL <= EFFECT
    assert BESIDE_READING <= EFFECT


@pytest.mark.parametrize("held_out", [False, True], ids=["for working", "held out"])
def test_effects_are_found_and_most_reading_tools_left_low(held_out: bool) -> None:
    """At least 99 % of the tools with effects, and 80 % of the reading ones, of 394 labelled by hand."""
    half = [each for each in labelled() if each.held_out is held_out]
    low = {each.listing.name for each in half if propose(each.listing).risk is Risk.LOW}
    acting = {each.listing.name for each in half if each.has_effect}
    reading = {each.listing.name for each in half if not each.has_effect}
    assert len(acting - low) >= 0.99 * len(acting)
    assert len(reading & low) >= 0.80 * len(reading)
