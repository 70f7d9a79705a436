"""`vitreous`: one application, one module for each group of commands."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

import vitreous
from vitreous.cli import denoise, look
from vitreous.core.errors import Interrupted, VitreousError

app = typer.Typer(
    name="vitreous",
    help="Read cryo-electron tomograms that have no labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
denoise.register(app)
look.register(app)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    """Read cryo-electron tomograms that have no labels."""
    if version:
        sys.stdout.write(f"vitreous {vitreous.__version__}\n")
        raise typer.Exit


def main() -> None:
    """Run the command line; the exit code says how it ended (0 done, 2 input, 1 a fault of ours, 130 stopped)."""
    try:
        app()
    except Interrupted as stopped:
        fail(str(stopped), stopped.exit_code)
    except VitreousError as error:
        fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        fail("stopped at once; a run directory's last checkpoint can be resumed", Interrupted.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception:  # the outermost frame: whatever reaches it is a fault of ours
        traceback.print_exc()
        fail("this is a fault of vitreous; please report the lines above", 1)


def fail(text: str, code: int) -> None:
    """One line on stderr, then exit."""
    sys.stderr.write(f"vitreous: {text}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
