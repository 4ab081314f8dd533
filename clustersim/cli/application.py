"""The `clustersim` program: registers the commands, and reports defects of its own.

Decides the names of the commands and the form of a defect's report. Must not know what a command does. `pyproject.toml`
names `main` as the entry point.

Exit codes: 0 success; 2 the user's input is wrong, and nothing is written; 1 anything else: results that cannot be
written, and defects, which end in one sentence, the command that reproduces them, and the traceback in a file.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from clustersim import __version__
from clustersim.cli.exit_codes import FAILURE, INVALID_INPUT
from clustersim.cli.run_commands import run_command, schema_command, validate_command
from clustersim.cli.study_commands import compare_command, optimize_command, sweep_command
from clustersim.errors import UsageError

app = typer.Typer(
    name="clustersim",
    help="Simulates Amazon ECS: scenario files in, Arrow files out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"clustersim {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Simulates Amazon ECS: scenario files in, Arrow files out."""
    import clustersim.engine.backends  # noqa: F401  (reports an unknown CLUSTERSIM_KERNELS before anything is done)


app.command("run")(run_command)
app.command("validate")(validate_command)
app.command("sweep")(sweep_command)
app.command("optimize")(optimize_command)
app.command("compare")(compare_command)
app.command("schema")(schema_command)


def main() -> None:
    """Run the program; report a defect in one sentence."""
    # numpy's BLAS starts a thread per core, which takes as long as importing numpy; none is used here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # pydantic reads the metadata of every installed package to find its plugins; none is used here.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(100_000)  # most Python objects of a run live until its end: collect rarely
    try:
        app()
    except BrokenPipeError:  # the reader of the output has gone: `clustersim schema | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except UsageError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(INVALID_INPUT) from None
    except Exception as error:
        path = _write_traceback()
        command = shlex.join(["clustersim", *sys.argv[1:]])
        typer.echo(
            f"clustersim failed by a defect of its own: {type(error).__name__}: {error}. "
            f"To reproduce: {command} (traceback in {path})",
            err=True,
        )
        raise SystemExit(FAILURE) from None


def _write_traceback() -> Path:
    """Write the traceback to a file beside the output, or in the temporary directory; return its path."""
    text = traceback.format_exc()
    out = next((sys.argv[i + 1] for i, word in enumerate(sys.argv[:-1]) if word == "--out"), "results")
    for folder in (Path(out).parent, Path(tempfile.gettempdir())):
        try:
            path = folder / "clustersim-traceback.txt"
            path.write_text(text)
        except OSError:
            continue
        return path
    return Path("(nowhere writable)")
