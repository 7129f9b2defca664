"""`agentguard serve` and `agentguard token`."""

import typer

tokens = typer.Typer(help="Bearer tokens of people for the HTTP API.", no_args_is_help=True)


def serve() -> None:
    """placeholder"""
