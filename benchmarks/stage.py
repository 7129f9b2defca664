"""A temporary place for a benchmark: a guard on its own embedded server, and made-up people with keys made at run time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agentguard.config import Settings, open_guard
from agentguard.guard.pipeline import Guard
from agentguard.masking import masker
from agentguard.store.keys import SigningKey

MASKING = "pure Python" if str(masker.__file__).endswith(".py") else "compiled"
"""Which build of masking a figure is of."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A folder with policies, people and state. Its path is short enough for a Unix socket."""

    folder: Path
    keys: Mapping[str, SigningKey]

    @property
    def policies(self) -> Path:
        """Where policy.yaml and approvers.yaml are."""
        return self.folder / "policies"

    @property
    def settings(self) -> Settings:
        """Settings of this stage alone, whatever the environment says."""
        return Settings(redis_url="", state_dir=self.folder / "state", config_dir=self.folder / "config", keys=None)

    def open(self) -> Guard:
        """A guard on this stage."""
        return open_guard(self.policies, agent="benchmark", settings=self.settings)


@contextmanager
def stage(policy: str, people: Mapping[str, tuple[str, ...]]) -> Iterator[Stage]:
    """A stage with this policy; `people` are names with their groups. Removed at the end."""
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        keys = {name: SigningKey.new() for name in people}
        built = Stage(folder=Path(folder), keys=keys)
        built.policies.mkdir()
        (built.policies / "policy.yaml").write_text(policy, encoding="utf-8")
        (built.policies / "approvers.yaml").write_text(_approvers(people, keys), encoding="utf-8")
        yield built


def _approvers(people: Mapping[str, tuple[str, ...]], keys: Mapping[str, SigningKey]) -> str:
    lines = [
        f'  {name}: {{email: {name}@acme.example, groups: [{", ".join(groups)}], key: "{keys[name].public}"}}'
        for name, groups in people.items()
    ]
    return "\n".join(["people:", *lines, ""])
