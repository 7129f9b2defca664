"""The demo's two approvers: made-up people, each with a key of their own, who vote in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentguard.store.keys import SigningKey

SECONDS_TO_VOTE = 600


@dataclass(frozen=True)
class Approver:
    """One of them: their name, and the configuration folder that only their process is given."""

    name: str
    config_dir: Path

    def vote(self, request_id: str, policies: Path, state_dir: Path, *, auto: bool) -> bool:
        """Run `agentguard approvals approve` as this person; with `auto` nobody is asked. Whether they approved.

        Who says no at the terminal rejects, so that the agent does not wait for nothing.
        """
        card = ["--card", self._card_digest(request_id, policies, state_dir)]
        if self._run(["approve", request_id, *(card if auto else [])], policies, state_dir, show=True).returncode == 0:
            return True
        self._run(["reject", request_id, *card, "-m", "Not now"], policies, state_dir, show=True)
        return False

    def _card_digest(self, request_id: str, policies: Path, state_dir: Path) -> str:
        shown: dict[str, Any] = json.loads(
            self._run(["show", request_id, "--json"], policies, state_dir, show=False).stdout
        )
        return str(shown["card_digest"])

    def _run(
        self, words: list[str], policies: Path, state_dir: Path, *, show: bool
    ) -> subprocess.CompletedProcess[str]:
        own = {"AGENTGUARD_CONFIG_DIR": str(self.config_dir), "AGENTGUARD_STATE_DIR": str(state_dir)}
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "agentguard", "approvals", *words, "--policies", str(policies)],
            env={**os.environ, **own},
            check=not show,
            text=True,
            stdout=None if show else subprocess.PIPE,
            timeout=SECONDS_TO_VOTE,
        )


def make_people(folder: Path, policies: Path) -> list[Approver]:
    """Make both keys and the approvers file beside the policies."""
    approvers = [Approver(name, folder / name) for name in ("dana", "erik")]
    lines = ["people:"]
    for approver in approvers:
        key = SigningKey.new()
        key.save(approver.config_dir / "keys" / f"{approver.name}.key")
        lines.append(
            f"  {approver.name}: {{email: {approver.name}@acme.example, "
            f'groups: [on-call, data-stewards, security], key: "{key.public}"}}'
        )
    (policies / "approvers.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return approvers
