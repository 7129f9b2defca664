"""The form of a policy: every section of the YAML, and what may stand in it.

Each field here has an enforcer. What the language has beyond that is in `unenforced`, and is a load error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
)

from agentguard.model.durations import Duration, seconds_of
from agentguard.model.record import Record
from agentguard.model.verdicts import CONFIRM, Effect, Mode, Risk
from agentguard.policy.approvals_section import ApprovalEntry, AskingSection
from agentguard.policy.forms import (
    ArgumentPath,
    EntityType,
    Label,
    Name,
    Notified,
    OncePath,
    Pattern,
    Role,
    Sentence,
    SumPath,
    UseEntry,
)
from agentguard.policy.masking_section import MaskingSection, ToolMasking

CONFIRM_SECONDS = 600
"""How long the user has to confirm a call."""


def _kind(value: Any) -> str:
    return "entry" if isinstance(value, (dict, BaseModel)) else "short"


def _list_or_entry(value: Any) -> str:
    return "short" if isinstance(value, (list, tuple)) else "entry"


Wait = Literal["block", "defer"]
Dimension = Literal["tenant", "agent", "user", "session", "tool"]
Scope = Annotated[
    Annotated[Dimension, Tag("entry")] | Annotated[tuple[Dimension, ...], Field(min_length=1), Tag("short")],
    Discriminator(_list_or_entry),
]


class AskFor(Record):
    """`{ask: NAME}`: the level's calls need this approval."""

    ask: Name


Level = Annotated[
    Annotated[Literal["allow", "deny"], Tag("short")] | Annotated[AskFor, Tag("entry")], Discriminator(_kind)
]


def level_effect(level: Level) -> tuple[Effect, str | None]:
    """What a level does, and which approval it asks for."""
    return (Effect.ASK, level.ask) if isinstance(level, AskFor) else (Effect(level), None)


class RiskSection(Record):
    """What each level of risk means here."""

    low: Level
    medium: Level
    high: Level
    critical: Level

    def of(self, risk: Risk) -> Level:
        """The meaning of one level."""
        level: Level = getattr(self, risk.value)
        return level


class RevealEntry(Record):
    """Which entity types a parameter gets back; `inside_text`: also where a token stands in a longer text."""

    types: Annotated[tuple[EntityType, ...], Field(min_length=1)]
    inside_text: bool = False


RevealTerms = Annotated[
    Annotated[tuple[EntityType, ...], Field(min_length=1), Tag("short")] | Annotated[RevealEntry, Tag("entry")],
    Discriminator(_list_or_entry),
]


class GrantsEntry(Record):
    """What people may grant along with an approval: so many further calls for so long, where these arguments stay as they are.

    `same`: the arguments of the approved call that a further one must repeat; `at_most`: the numbers that it must not exceed.
    """

    for_: Duration = Field(alias="for")
    uses: Annotated[int, Field(ge=1, le=1000)]
    session: bool = True
    same: tuple[ArgumentPath, ...] = ()
    at_most: tuple[ArgumentPath, ...] = ()

    @property
    def seconds(self) -> int:
        """How long a grant may last."""
        return seconds_of(self.for_)


class ToolEntry(Record):
    """A tool's risk and its knobs. `labels` left out: its results count as untrusted. `undo` is for people: how, or that nothing can.

    `once`: calls with the same value there do the same deed, which may happen once. `wait`: whether the agent waits while people are asked
    (`block`), or is told to come back (`defer`).
    `override` (policy.yaml only): this entry stands in place of what a file taken in says.
    """

    risk: Risk
    ask: Name | None = None
    deny: Literal[True] | None = None
    labels: tuple[Label, ...] | None = None
    params: dict[Role, tuple[ArgumentPath, ...]] = {}
    reveal: dict[ArgumentPath, RevealTerms] = {}
    title: Sentence | None = None
    undo: Literal[False] | Sentence | None = None
    once: OncePath | None = None
    wait: Wait | None = None
    grants: GrantsEntry | None = None
    masking: ToolMasking | None = None
    mode: Mode | None = None
    override: Literal[True] | None = None


ToolTermsWritten = Annotated[Annotated[Risk, Tag("short")] | Annotated[ToolEntry, Tag("entry")], Discriminator(_kind)]


class RuleEntry(Record):
    """What makes a call stricter, always or where the condition is met: an approval, a denial, a higher risk, or that it happens once."""

    id: Name
    tools: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    when: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    ask: Name | None = None
    deny: Literal[True] | None = None
    risk: Risk | None = None
    once: OncePath | None = None
    wait: Wait | None = None
    notify: Notified | None = None
    reason: Sentence | None = None
    mode: Mode | None = None


class LimitEntry(Record):
    """How much calls may use together, and what happens to a call that would use more.

    Counted are calls; with `sum` the amounts in an argument; with `distinct` the people or things of one entity type in results.
    """

    tools: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    sum: SumPath | None = None
    distinct: EntityType | None = None
    max: Annotated[int | float, Field(gt=0, le=10**12)]
    over: Duration | None = None
    per: Scope = "tenant"
    ask: Name | None = None
    deny: Literal[True] | None = None
    reason: Sentence | None = None
    mode: Mode | None = None

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Whose calls count together; of the tenant's, those that are alike in each of these."""
        return self.per if isinstance(self.per, tuple) else (self.per,)

    @property
    def window_ms(self) -> int:
        """How far back is counted; 0: as long as the session goes on."""
        return 0 if self.over is None else seconds_of(self.over) * 1000


class Fragment(Record):
    """A file beside the root: tools and rules, its own and those of files that it takes in."""

    version: Literal[1]
    mode: Mode | None = None
    use: tuple[UseEntry, ...] = ()
    tools: dict[Pattern, ToolTermsWritten] = {}
    rules: tuple[RuleEntry, ...] = ()


class Root(Fragment):
    """policy.yaml: what only one file may hold, and tools and rules of its own."""

    risk: RiskSection
    approvals: dict[Name, ApprovalEntry] = {}
    asking: AskingSection = AskingSection()
    limits: dict[Name, LimitEntry] = {}
    masking: MaskingSection = MaskingSection()


class Document(Record):
    """The whole policy: all files together, tools by pattern and rules by id, both sorted.

    `mode`: the root's, and so that of the word that no file writes: a tool that nobody listed is denied. All else has a mode of its own.
    """

    version: Literal[1] = 1
    mode: Mode | None = None
    risk: RiskSection
    tools: dict[str, ToolEntry]
    rules: tuple[RuleEntry, ...]
    approvals: dict[str, ApprovalEntry]
    asking: AskingSection
    limits: dict[str, LimitEntry]
    masking: MaskingSection

    def asks_for(self, name: str) -> bool:
        """Whether `ask: name` can be answered by anybody."""
        return name == CONFIRM or name in self.approvals
