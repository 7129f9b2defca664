"""`agentguard keys`: a person's own key, and the passphrase that it may be sealed with."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from agentguard.approval import check_name
from agentguard.cli.options import DEFAULT_FOLDER, Name, Policies
from agentguard.cli.screen import say
from agentguard.config import Settings, own_key, sign_roster
from agentguard.errors import ConfigurationError
from agentguard.store.keys import SigningKey

app = typer.Typer(help="Your own signing key.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(metavar="NAME", help="Your name in approvers.yaml.")]


@app.command()
def new(
    name: Who,
    plain: Annotated[bool, typer.Option("--no-passphrase", help="Anything that runs as you can then sign.")] = False,
) -> None:
    """Make a key, sealed with a passphrase that is asked for here and each time you decide; prints the public half."""
    check_name(name)
    folder = Settings().config_dir / "keys"
    file = folder / f"{name}.key"
    if file.exists():
        raise ConfigurationError(
            f"{file} is there already; rename it first, and list both keys while one replaces the other"
        )
    passphrase = "" if plain else _new_passphrase()
    key = SigningKey.new()
    key.save(file, passphrase)
    file.with_suffix(".pub").write_text(key.public + "\n", encoding="ascii")
    say(f'your key is {file}; in approvers.yaml:\n  {name}: {{..., key: "{key.public}"}}')


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Whose key, if you have several.")] = None,
) -> None:
    """Print the public half of a key, as approvers.yaml has it."""
    if name is not None:
        check_name(name)
    settings = Settings()
    public = settings.config_dir / "keys" / f"{name}.pub"
    if name is not None and public.exists():
        say(public.read_text(encoding="ascii").strip())
        return
    say(my_key(settings, name)[1].public)


@app.command()
def sign(policies: Policies = DEFAULT_FOLDER, name: Name = None) -> None:
    """Sign approvers.yaml, for agents that take it from the keys of AGENTGUARD_ROSTER_KEYS alone."""
    person, key = my_key(Settings(), name)
    say(f"{sign_roster(policies, key)} is signed by {person}")


def my_key(settings: Settings, name: str | None) -> tuple[str, SigningKey]:
    """Who decides here, and their key; its passphrase is asked for on the terminal. Raises ConfigurationError."""
    return own_key(settings, name, lambda: _asked("Passphrase of your key: "))


def _new_passphrase() -> str:
    first = _asked("Passphrase for your new key: ")
    if not first:
        raise ConfigurationError("an empty passphrase is none; --no-passphrase makes a key without one")
    if _asked("Once more: ") != first:
        raise ConfigurationError("the two passphrases differ; nothing was written")
    return first


def _asked(prompt: str) -> str:
    """What is typed on the terminal, unseen; never what is piped in. Raises ConfigurationError where there is no terminal."""
    try:
        Path("/dev/tty").open("rb").close()
    except OSError:
        raise ConfigurationError("this key has a passphrase, and nobody is at a terminal to give it") from None
    return getpass.getpass(prompt)
