"""Exit codes, and the end of a command by an error. All commands use it."""

from __future__ import annotations

from typing import NoReturn

import typer

FAILURE = 1  # results cannot be written, runs failed, or a defect of clustersim
INVALID_INPUT = 2  # the user's input is wrong; nothing is written


def exit_with_error(message: str, code: int) -> NoReturn:
    """Print a message on standard error and end the command with an exit code."""
    typer.echo(message, err=True)
    raise typer.Exit(code)
