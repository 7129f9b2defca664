"""`agentguard init`: the first policy, approvers file and key, so that a first own call is approved in three steps."""

from __future__ import annotations

import getpass
import json
import re
from pathlib import Path
from typing import Annotated

import typer

from agentguard.approval import check_email, check_name
from agentguard.cli.screen import say
from agentguard.config import APPROVERS, Settings
from agentguard.errors import ConfigurationError
from agentguard.policy.layout import ROOT
from agentguard.store.keys import SigningKey

POLICY = """\
version: 1
use: [library:agentguard]  # keeps agents from this guard's own files, commands and doors
risk:                      # what each level means here; must rise: allow <= ask <= deny
  low: allow
  medium: allow
  high: {{ask: on-call}}
  critical: {{ask: stewards}}
tools:                     # one line a tool; the most specific pattern wins
  # find_customer: {{risk: low, labels: [customer-data]}}
  # send_email: {{risk: medium, params: {{recipient: [to]}}, reveal: {{to: [EMAIL_ADDRESS]}}, labels: []}}
  "*": {{risk: high, ask: confirm}}      # whatever is not listed: the user confirms each call
approvals:
  on-call: {{approvers: [group:on-call], deadline: 10m}}
  stewards: {{approvers: [group:data-stewards], deadline: 15m}}
masking:
  actions: {{"*": token}}
"""

PEOPLE = """\
people:
  {name}: {{email: {email}, groups: [on-call, data-stewards], key: "{key}"}}
"""


def init(
    folder: Annotated[Path, typer.Argument(help="Where the policy goes.")] = Path("tool_policies"),
    name: Annotated[str | None, typer.Option("--name", help="Your name in approvers.yaml.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="Your e-mail address, as your sessions give it.")] = None,
) -> None:
    """Write a first policy, an approvers file with you in it, and your key. Overwrites nothing."""
    mail, key_file = begin(folder, POLICY.format(), name=name, email=email)
    say(f"wrote {folder / ROOT} and {folder / APPROVERS}; your key is {key_file}")
    say(
        f"next: 1. wrap your tools, with guard.session(user={mail!r})  2. run your agent; a call waits  "
        "3. agentguard approvals list, then agentguard approvals approve ID"
    )


def begin(folder: Path, policy: str, *, name: str | None, email: str | None) -> tuple[str, Path]:
    """Write a policy and its one person, with a key where they have none; their address, and the key's file. Raises ConfigurationError."""
    who = name or re.sub(r"[^a-z0-9._-]", "-", getpass.getuser().lower()).lstrip("._-")
    mail = email or f"{who}@localhost"
    check_name(who)
    check_email(mail)
    files = {folder / ROOT, folder / APPROVERS}
    for file in sorted(files):
        if file.exists():
            raise ConfigurationError(
                f"{file} is there already; edit it, or give another folder: agentguard init FOLDER"
            )
    folder.mkdir(parents=True, exist_ok=True)
    key_file = Settings().config_dir / "keys" / f"{who}.key"
    if key_file.exists():
        key = SigningKey.load(key_file)
    else:
        key = SigningKey.new()
        key.save(key_file)
    (folder / ROOT).write_text(policy, encoding="utf-8")
    (folder / APPROVERS).write_text(PEOPLE.format(name=who, email=_in_yaml(mail), key=key.public), encoding="utf-8")
    return mail, key_file


def _in_yaml(mail: str) -> str:
    """An address as it stands in YAML: bare where nothing in it could mean anything there."""
    return mail if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9.-]+", mail) else json.dumps(mail)
