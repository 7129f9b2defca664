"""A tool call, the tool it is for, and who it is made by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from agentguard.model.canonical import canonical_json
from agentguard.model.record import Record


class Principal(Record):
    """On whose behalf a call is made. `user` is None only where the caller said that the agent is autonomous.

    `run` is the caller's own mark for one attempt at a job; empty by default, never a framework's run id.
    """

    tenant: str
    agent: str
    user: str | None
    session: str
    run: str = ""

    @property
    def scope(self) -> str:
        """Whose tokens these are: the session's, on this user's behalf. Another user in the same session has tokens of their own."""
        return canonical_json([self.session, self.user])


class ToolCall(NamedTuple):
    """What the model asked for: its own arguments, tokens and all. `id` is the model's id of this call, if any.

    `says`: what the model wrote beside the call; people who decide are shown it as unchecked. `turn`: what all calls of one message of
    the model's share, so that people can be shown them together; empty where nobody knows.
    """

    tool: str
    arguments: Mapping[str, Any]
    id: str | None = None
    says: str = ""
    turn: str = ""


class Parsed(NamedTuple):
    """What a tool's own validation made of the arguments.

    `snapshot`: JSON-ready dump of the parsed arguments, defaults filled in, injected arguments left out, secrets opened.
    `filled`: the values (JSON-ready) of fields that the model left out and that would differ at another time
    (a default factory); put into the arguments they make parsing repeatable.
    `shown`: the snapshot with secrets hidden, for records and people; None where there are none.
    `ready`: the parsed arguments themselves, where the tool can be called with them; then nothing is parsed a second time.
    `as_given`: whether the dump is value for value what was given, so that its text need not be made again.
    """

    snapshot: dict[str, Any]
    shown: dict[str, Any] | None = None
    ready: Any = None
    filled: Mapping[str, Any] = MappingProxyType({})
    as_given: bool = False


class Tool(Protocol):
    """A tool as the guard sees it. Integrations translate their framework's tools into this."""

    @property
    def name(self) -> str:
        """What the model calls it by: 1 to 64 of a-z A-Z 0-9 _ -."""
        ...

    @property
    def description(self) -> str:
        """What the model is told of it."""
        ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the arguments (an object), injected ones left out."""
        ...

    def parse(self, arguments: Mapping[str, Any]) -> Parsed:
        """The arguments after the tool's own validation. Raises InvalidArguments."""
        ...


class Returns(NamedTuple):
    """What a tool says it gives: a JSON Schema of its whole result, or of what stands under one key of it.

    A tool that knows it has it as `returns`.
    """

    schema: Mapping[str, Any]
    key: str | None = None
